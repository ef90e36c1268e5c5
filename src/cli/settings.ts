import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Catalogue } from '../catalogue/catalogue';
import type { LoadedProject } from '../packs/definition/combine';
import { CliError, EXIT } from './errors';
import type { GlobalOptions } from './output';

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
