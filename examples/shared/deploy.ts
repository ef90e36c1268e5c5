/**
 * The deployment tool of the examples, as a program in the folder of their state:
 *
 *   deploy list                          every deployment as JSON, newest first
 *   DEPLOYMENT_ID=dep-2 deploy promote   puts that one in front
 *   deploy changes                       what was deployed, newest first, for people
 *   deploy beside                        a deployment of RELEASE_VERSION and RELEASE_COMMIT, without traffic
 *   DEPLOYMENT_ID=dep-3 deploy retire    takes that one away, which has no traffic
 *   deploy version 1.5.0                 a new deployment of that version, in front at once
 */
import {
  deployBeside,
  deployVersion,
  listDeployments,
  promoteDeployment,
  retireDeployment,
} from './deployments';
import { printAnswer } from './program';

/** What it says. Throws what is wrong. */
export function deploy(directory: string, [verb, version]: string[]): string {
  switch (verb) {
    case 'list':
      return JSON.stringify(listDeployments(directory));
    case 'changes':
      return listDeployments(directory)
        .map(({ commit, createdAt, version }) => `${commit} ${createdAt} ${version}`)
        .join('\n');
    case 'promote':
      return promote(directory);
    case 'beside': {
      const made = variable('RELEASE_VERSION');
      const { id } = deployBeside(directory, made, variable('RELEASE_COMMIT'));
      return `${made} is there as ${id}, and not in front`;
    }
    case 'retire': {
      const gone = variable('DEPLOYMENT_ID');
      retireDeployment(directory, gone);
      return `${gone} is taken away`;
    }
    case 'version':
      return `${given(version)} is in front as ${deployVersion(directory, given(version)).id}`;
    default:
      return given(undefined);
  }
}

function given(version: string | undefined): string {
  if (version !== undefined) return version;
  throw new Error('expected: deploy list | promote | changes | beside | retire | version <x.y.z>');
}

function promote(directory: string): string {
  const id = variable('DEPLOYMENT_ID');
  const { RUNBOOKS_FENCING_TOKEN: token } = process.env;
  const { version } = promoteDeployment(directory, id, token === undefined ? undefined : Number(token));
  return `${version} is in front as ${id}`;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

/** As a program. */
export function runDeploy(answer: typeof deploy): void {
  printAnswer(() => answer(process.cwd(), process.argv.slice(2)));
}

if (require.main === module) runDeploy(deploy);
