/** What is deployed of an example, and in front: a file in the folder of its state, which the application follows. */
import { join } from 'node:path';
import { followState, readState, writeState } from './state-file';

/** One deployment as `deploy list` prints it. */
export interface SampleDeployment {
  id: string;
  version: string;
  commit: string;
  createdAt: string;
  state: 'ready' | 'failed' | 'building';
  /** When an older one was put in front of it again. */
  rolledBackAt?: string;
}

interface Deployments {
  current: string;
  /** Highest fencing token that a promotion came with. */
  token: number;
  /** Newest first. */
  deployments: SampleDeployment[];
}

const DAY_MS = 86_400_000;

const fileIn = (directory: string): string => join(directory, 'deployments.json');

/** Two releases, both good, the newer in front; kept where there are some already. */
export function setUpDeployments(
  directory: string,
  [older, newer]: readonly [string, string] = ['1.4.0', '1.4.1'],
): void {
  if (readState(fileIn(directory)) !== undefined) return;
  const made = (id: string, version: string, commit: string, days: number): SampleDeployment => {
    const createdAt = new Date(Date.now() - days * DAY_MS).toISOString();
    return { id, version, commit, createdAt, state: 'ready' };
  };
  const deployments = [made('dep-2', newer, '9be2f0c', 2), made('dep-1', older, '41d7a63', 9)];
  writeState(fileIn(directory), { current: 'dep-2', token: 0, deployments });
}

/** Every deployment, newest first, as runbooks read it. */
export function listDeployments(directory: string): (SampleDeployment & { current: boolean })[] {
  const { current, deployments } = stateIn(directory);
  return deployments.map((one) => ({ ...one, current: one.id === current }));
}

/**
 * Puts a deployment in front; the application serves its code within a second. Doing it twice is harmless. A fencing
 * token lower than one seen before comes from a run that lost its lease, and is refused.
 */
export function promoteDeployment(directory: string, id: string, token?: number): SampleDeployment {
  const state = stateIn(directory);
  const wanted = state.deployments.find((one) => one.id === id);
  const former = state.deployments.find((one) => one.id === state.current);
  if (wanted === undefined) throw new Error(`there is no deployment ${id}`);
  if (wanted.state !== 'ready') throw new Error(`deployment ${id} is ${wanted.state}, not ready`);
  if (token !== undefined && token < state.token)
    throw new Error(`fencing token ${token} is older than ${state.token}: another run has this lease now`);
  if (former !== undefined && former.createdAt > wanted.createdAt)
    former.rolledBackAt = new Date().toISOString();
  delete wanted.rolledBackAt;
  writeState(fileIn(directory), { ...state, current: id, token: token ?? state.token });
  return wanted;
}

/** A new deployment of a version, in front at once: what a merge to main comes to. */
export function deployVersion(directory: string, version: string): SampleDeployment {
  const state = stateIn(directory);
  const commit = (state.deployments.length * 0x1f3d5b7 + 0x2b0c4d1).toString(16).slice(-7);
  const made = newDeployment(state, version, commit);
  writeState(fileIn(directory), {
    ...state,
    current: made.id,
    deployments: [made, ...state.deployments],
  });
  return made;
}

/** A new deployment beside the one in front, without traffic. One of that commit that is there already is not made again. */
export function deployBeside(directory: string, version: string, commit: string): SampleDeployment {
  const state = stateIn(directory);
  const there = state.deployments.find((one) => one.commit === commit && one.state === 'ready');
  if (there !== undefined) return there;
  const made = newDeployment(state, version, commit);
  writeState(fileIn(directory), { ...state, deployments: [made, ...state.deployments] });
  return made;
}

/** Takes one away that is not in front: it stays on the list, and can serve nobody any more. */
export function retireDeployment(directory: string, id: string): void {
  const state = stateIn(directory);
  const wanted = state.deployments.find((one) => one.id === id);
  if (id === state.current) throw new Error(`deployment ${id} is in front`);
  if (wanted !== undefined) wanted.state = 'failed';
  writeState(fileIn(directory), state);
}

function newDeployment({ deployments }: Deployments, version: string, commit: string): SampleDeployment {
  const id = `dep-${deployments.length + 1}`;
  return { id, version, commit, createdAt: new Date().toISOString(), state: 'ready' };
}

/** Calls back with the version in front, now and whenever another is promoted. Returns how to stop it. */
export function followVersion(directory: string, changed: (version: string) => void): () => void {
  return followState<Deployments>(fileIn(directory), ({ current, deployments }) => {
    const version = deployments.find(({ id }) => id === current)?.version;
    if (version !== undefined) changed(version);
  });
}

function stateIn(directory: string): Deployments {
  const state = readState<Deployments>(fileIn(directory));
  if (state === undefined) throw new Error(`no deployments.json in ${directory}: set the example up first`);
  return state;
}
