/**
 * The sample's deployment tool, in the folder of its state:
 *
 *   deploy list                          every deployment as JSON, newest first
 *   DEPLOYMENT_ID=dep-2 deploy promote   puts that one in front
 *   deploy schedule                      the schedule that the platform has for the job that has holds expire
 *   deploy again                         what is in front once more: the platform takes its schedules anew
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
import { DEFAULT_SWITCHES, readSwitches, setSwitches } from './switches';

function main([verb, version]: string[]): string {
  const directory = process.cwd();
  if (verb === 'list') return JSON.stringify(listDeployments(directory));
  if (verb === 'changes')
    return listDeployments(directory)
      .map(({ commit, createdAt, version }) => `${commit} ${createdAt} ${version}`)
      .join('\n');
  if (verb === 'version' && version !== undefined) {
    const { id } = deployVersion(directory, version);
    return `${version} is in front as ${id}`;
  }
  if (verb === 'beside') {
    const made = variable('RELEASE_VERSION');
    const { id } = deployBeside(directory, made, variable('RELEASE_COMMIT'));
    return `${made} is there as ${id}, and not in front`;
  }
  if (verb === 'retire') {
    const gone = variable('DEPLOYMENT_ID');
    retireDeployment(directory, gone);
    return `${gone} is taken away`;
  }
  if (verb === 'schedule') return readSwitches(directory).cronSchedule || 'none';
  if (verb === 'again') {
    setSwitches(directory, { cronSchedule: DEFAULT_SWITCHES.cronSchedule });
    return 'deployed again, with its schedules';
  }
  if (verb !== 'promote')
    throw new Error(
      'expected: deploy list | changes | beside | promote | retire | schedule | again | version <x.y.z>',
    );
  const id = variable('DEPLOYMENT_ID');
  const { RUNBOOKS_FENCING_TOKEN: token } = process.env;
  const promoted = promoteDeployment(directory, id, token === undefined ? undefined : Number(token));
  return `${promoted.version} is in front as ${id}`;
}

function variable(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

try {
  console.log(main(process.argv.slice(2)));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
