/**
 * The studio's deployments, as far as the runbooks need the command line of Vercel, in the folder of its state:
 *
 *   vercel list                          every deployment as JSON, newest first
 *   DEPLOYMENT_ID=dpl-2 vercel promote   puts that one in front
 */
import { join } from 'node:path';
import { followState, readState, writeState } from '../shared/state-file';

interface Deployment {
  id: string;
  version: string;
  createdAt: string;
  state: 'ready';
  rolledBackAt?: string;
}

interface Deployments {
  current: string;
  /** Highest fencing token that a promotion came with. */
  token: number;
  /** Newest first. */
  deployments: Deployment[];
}

/** What runs where nobody deploys anything, and the one that counts words before its migration is applied. */
export const GOOD_RELEASE = '2.3.1';
export const BAD_RELEASE = '2.4.0';

const DAY_MS = 86_400_000;
const fileIn = (directory: string): string => join(directory, 'deployments.json');

/** Two good releases, the newer in front; kept where there are some already. */
export function setUpDeployments(directory: string): void {
  if (readState(fileIn(directory)) !== undefined) return;
  const made = (id: string, version: string, days: number): Deployment => {
    const createdAt = new Date(Date.now() - days * DAY_MS).toISOString();
    return { id, version, createdAt, state: 'ready' };
  };
  const deployments = [made('dpl-2', GOOD_RELEASE, 3), made('dpl-1', '2.3.0', 12)];
  writeState(fileIn(directory), { current: 'dpl-2', token: 0, deployments });
}

export function listDeployments(directory: string): (Deployment & { current: boolean })[] {
  const { current, deployments } = stateIn(directory);
  return deployments.map((one) => ({ ...one, current: one.id === current }));
}

/** Puts a new deployment of that version in front. */
export function deploy(directory: string, version: string): Deployment {
  const { token, deployments } = stateIn(directory);
  const createdAt = new Date().toISOString();
  const made: Deployment = { id: `dpl-${deployments.length + 1}`, version, createdAt, state: 'ready' };
  writeState(fileIn(directory), { current: made.id, token, deployments: [made, ...deployments] });
  return made;
}

/** Twice is harmless. A fencing token lower than one seen before is that of a run that lost its lease, and is refused. */
export function promote(directory: string, id: string, token?: number): Deployment {
  const state = stateIn(directory);
  const wanted = state.deployments.find((one) => one.id === id);
  const former = state.deployments.find((one) => one.id === state.current);
  if (wanted === undefined) throw new Error(`there is no deployment ${id}`);
  if (token !== undefined && token < state.token)
    throw new Error(`fencing token ${token} is older than ${state.token}: another run has this lease now`);
  if (former !== undefined && former.createdAt > wanted.createdAt)
    former.rolledBackAt = new Date().toISOString();
  delete wanted.rolledBackAt;
  writeState(fileIn(directory), { ...state, current: id, token: token ?? state.token });
  return wanted;
}

/** Calls back with the version in front, now and whenever another is promoted. Returns how to stop it. */
export function followVersion(directory: string, changed: (version: string) => void): () => void {
  return followState<Deployments>(fileIn(directory), ({ current, deployments }) => {
    const found = deployments.find(({ id }) => id === current);
    if (found !== undefined) changed(found.version);
  });
}

function stateIn(directory: string): Deployments {
  const state = readState<Deployments>(fileIn(directory));
  if (state === undefined) throw new Error(`no deployments.json in ${directory}: start the example first`);
  return state;
}

function main([verb]: string[]): string {
  const directory = process.cwd();
  if (verb === 'list') return JSON.stringify(listDeployments(directory));
  const { DEPLOYMENT_ID: id, RUNBOOKS_FENCING_TOKEN: token } = process.env;
  if (verb !== 'promote' || id === undefined)
    throw new Error('expected: vercel list, or DEPLOYMENT_ID=<id> vercel promote');
  const { version } = promote(directory, id, token === undefined ? undefined : Number(token));
  return `${version} is in front as ${id}`;
}

if (require.main === module) {
  try {
    console.log(main(process.argv.slice(2)));
  } catch (error) {
    console.error((error as Error).message);
    process.exitCode = 1;
  }
}
