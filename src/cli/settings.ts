import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Catalogue } from '../catalogue/catalogue';
import type { LoadedConfig } from '../config/load';
import type { LoadedProject } from '../packs/definition/combine';
import { CliError, EXIT } from './errors';
import { outputOf, type GlobalOptions } from './output';

/** The configuration that --config or RUNBOOKS_CONFIG names, else `runbooks.yaml` here. Throws ConfigError. */
export async function requiredConfig(command: Command): Promise<LoadedProject> {
  const { configPath } = await import('../config/load.js');
  const { loadProject } = await import('../check/load-project.js');
  return loadProject(configPath(command.optsWithGlobals<GlobalOptions>().config));
}

/** The same, but undefined where none was named and none is here: answering a run needs no configuration. */
export async function optionalConfig(command: Command): Promise<LoadedProject | undefined> {
  const { configPath } = await import('../config/load.js');
  const { loadProject } = await import('../check/load-project.js');
  const { config } = command.optsWithGlobals<GlobalOptions>();
  const path = configPath(config);
  const isDefault = config === undefined && path === resolve('runbooks.yaml');
  return isDefault && !existsSync(path) ? undefined : loadProject(path);
}

/** What a command needs that answers a run or stops it. */
export interface Reach {
  temporal: LoadedConfig['temporal'];
  directory?: string;
  /** Undefined where there is no configuration, or a broken one. */
  project?: LoadedProject;
  /** There is one that cannot be used, as was said. */
  broken: boolean;
}

/**
 * How to reach Temporal, also with a broken configuration: the kill switch and answers must not depend on somebody's
 * typing error. What its `temporal` section says is used where that can still be read; --address and --namespace win.
 */
export async function reach(command: Command): Promise<Reach> {
  const { address, namespace, config } = command.optsWithGlobals<ReachOptions>();
  const flags = {
    ...(address === undefined ? {} : { address }),
    ...(namespace === undefined ? {} : { namespace }),
  };
  try {
    const project = await optionalConfig(command);
    const { configSchema } = await import('../config/schema.js');
    const temporal = project?.temporal ?? configSchema.shape.temporal.parse(undefined);
    const directory = project === undefined ? {} : { directory: project.directory };
    return { temporal: { ...temporal, ...flags }, ...directory, project, broken: false };
  } catch (error) {
    const { configPath, salvageTemporal } = await import('../config/load.js');
    const { temporalPlace } = await import('../config/temporal.js');
    const temporal = { ...salvageTemporal(configPath(config)), ...flags };
    const { address: used, namespace: within } = temporalPlace({ temporal });
    outputOf(command).warn(
      `${(error as Error).message}\nGoing on without it: Temporal at ${used}, namespace ${within}. Others: --address, --namespace.`,
    );
    return { temporal, directory: dirname(configPath(config)), broken: true };
  }
}

interface ReachOptions extends GlobalOptions {
  address?: string;
  namespace?: string;
}

/** The flags that `reach` reads, for a command or for all below it. */
export function addReachOptions(command: Command): void {
  if (command.commands.length > 0) return command.commands.forEach(addReachOptions);
  command
    .option('--address <host:port>', 'of Temporal; default: the configuration, else TEMPORAL_ADDRESS')
    .option('--namespace <name>', 'of Temporal; default: the configuration, else TEMPORAL_NAMESPACE');
}

/** The runbooks of that configuration; our own where there is none. */
export async function catalogueOf(command: Command): Promise<Catalogue> {
  const config = await optionalConfig(command);
  return config?.catalogue ?? (await import('../packs/own.js')).ownCatalogue;
}

/** The value of --listen. Throws CliError (usage) where it is no host:port. */
export function listenAddress(given: string | undefined): string | undefined {
  if (given === undefined || /^[^\s:]+:\d{1,5}$/.test(given)) return given;
  throw new CliError(EXIT.usage, `--listen wants host:port, e.g. 127.0.0.1:9464; got "${given}".`);
}

/** The name of whoever sits at this terminal; the default of --by. */
export function defaultName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container's user without an entry in the password file.
    return 'unknown';
  }
}
