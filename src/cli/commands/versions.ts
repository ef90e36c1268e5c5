import type { Command } from 'commander';
import type { LoadedConfig } from '../../config/load';
import type { LoadedProject } from '../../packs/definition/combine';
import type { Temporal } from '../connect';
import { CliError, EXIT } from '../errors';
import { outputOf, type Output } from '../output';
import { defaultName, requiredConfig } from '../settings';

interface Options {
  deployment?: string;
  unversioned?: boolean;
  by: string;
}

/** `versions ...`: which release of the workers new runs go to, and which may be stopped. */
export function addVersions(program: Command): void {
  const versions = program
    .command('versions')
    .description('versions of the workers: which takes new runs, which can be stopped; list, set-current')
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false });
  versions
    .command('list', { isDefault: true })
    .option('--deployment <name>', 'default: worker.deploymentName of the configuration')
    .description('each version, the runs that end on it, and whether its worker is still needed')
    .action((options: Options, command: Command) => withVersions(command, options, list));
  versions
    .command('set-current')
    .argument('[version]', 'the Build ID that its worker says; default: that of this installation')
    .option('--unversioned', 'back to workers without a version')
    .option('--deployment <name>', 'default: worker.deploymentName of the configuration')
    .option('--by <name>', 'your name, kept by the server', defaultName())
    .description('send new runs, guards and incidents to a version; other runs stay on theirs')
    .action((version: string | undefined, options: Options, command: Command) =>
      withVersions(command, options, (context) => setCurrentVersion(context, version, options)),
    );
}

interface Context {
  temporal: Temporal;
  output: Output;
  config: LoadedProject;
  deploymentName: string;
}

/** Connects; what was refused becomes a message and an exit code. */
async function withVersions(
  command: Command,
  { deployment }: Options,
  body: (context: Context) => Promise<void>,
): Promise<void> {
  const { withTemporal } = await import('../connect.js');
  const config = await requiredConfig(command);
  const deploymentName = deployment ?? nameOf(config);
  try {
    await withTemporal(config, (temporal) =>
      body({ temporal, output: outputOf(command), config, deploymentName }),
    );
  } catch (error) {
    const { name, message, kind } = error as Error & { kind?: string };
    if (name !== 'VersionRefused' && name !== 'DeploymentsUnsupported') throw error;
    throw new CliError(kind === 'notFound' ? EXIT.notFound : EXIT.usage, message);
  }
}

function nameOf({ worker: { deploymentName }, file }: LoadedConfig): string {
  if (deploymentName !== undefined) return deploymentName;
  throw new CliError(
    EXIT.usage,
    `worker.deploymentName is not set in ${file}: its workers have no versions. Set it to use them, or name a deployment with --deployment.`,
  );
}

async function list({ temporal: { client, taskQueue }, output, deploymentName }: Context): Promise<void> {
  const { readDeployment } = await import('../../versions/deployment.js');
  const { obstacleOf, readQueue } = await import('../../versions/queue.js');
  const { viewsOf } = await import('../versions-view.js');
  const { printVersions } = await import('../versions-text.js');
  const [deployment, queue] = await Promise.all([
    readDeployment(client, deploymentName),
    readQueue(client, taskQueue),
  ]);
  if (deployment === undefined)
    throw new CliError(
      EXIT.notFound,
      `Temporal knows no deployment ${deploymentName}: no worker of it has asked for work yet. Start one with \`runbooks worker\`.`,
    );
  const views = await viewsOf(client, deployment, queue);
  const obstacle = obstacleOf(queue);
  output.document({ deployment: deploymentName, taskQueue, versions: views, problem: obstacle ?? null });
  printVersions(output, deployment, views, queue, obstacle);
}

async function setCurrentVersion(
  { temporal: { client, taskQueue }, output, config, deploymentName }: Context,
  version: string | undefined,
  { unversioned = false, by }: Options,
): Promise<void> {
  if (unversioned && version !== undefined)
    throw new CliError(EXIT.usage, `Either the version ${version} or --unversioned, not both.`);
  const { setCurrent } = await import('../../versions/set-current.js');
  const buildId = unversioned ? undefined : (version ?? (await buildIdHere(config)));
  const { before } = await setCurrent(client, { taskQueue, deploymentName, buildId, by });
  output.document({ deployment: deploymentName, current: buildId ?? null, before: before ?? null, by });
  const where = buildId === undefined ? 'workers without a version' : `version ${buildId}`;
  if (before === buildId) {
    output.line(`New runs go to ${where} already.`);
    return;
  }
  output.line(`New runs go to ${where} now; guards and incidents move there with their next step.`);
  if (before !== undefined)
    output.hint(
      `Runs that began on ${before} end on it: keep its worker until \`runbooks versions\` says drained.`,
    );
}

/** The version that a worker started here would be: of this release, with the packs of the configuration. */
async function buildIdHere(config: LoadedProject): Promise<string> {
  const { bundleOf } = await import('../../build/workflow-bundle.js');
  const { buildIdOf } = await import('../../worker/build-id.js');
  return buildIdOf((await bundleOf(config)).code);
}
