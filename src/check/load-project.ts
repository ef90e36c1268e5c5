import { existsSync } from 'node:fs';
import type { configSchema } from '../config/schema';
import { ConfigError, parseConfig, readConfigFile, type ConfigFile } from '../config/load';
import { combinePacks, type LoadedProject } from '../packs/definition/combine';
import { loadPack } from '../packs/definition/load';
import { PackError, type Pack } from '../packs/definition/pack';
import { ownPacks } from '../packs/own';
import { crossCheck } from './cross-check';

/**
 * Reads a configuration with the packs that it names, after `packs` if there are any: their runbooks, their sections.
 * Throws ConfigError with every problem found.
 */
export function loadProject(path: string, packs: readonly Pack[] = []): LoadedProject {
  return parseProject(readConfigFile(path), packs);
}

/** The same for what has been read already. */
export function parseProject(read: ConfigFile, packs: readonly Pack[] = []): LoadedProject {
  const installed = [...ownPacks, ...packs, ...namedPacks(read)];
  const { catalogue, schema } = orConfigError(read.file, () => combinePacks(installed));
  const project: LoadedProject = { ...parseConfig(read, schema), catalogue, installed };
  const problems = [...crossCheck(project), ...installed.flatMap((pack) => pack.check?.(project) ?? [])];
  if (problems.length > 0)
    throw new ConfigError(
      project.file,
      problems.map((problem) => withLine(problem, read)),
    );
  return project;
}

/** `line 12: alerts.routes.outage.runbook: ...`: of as much of the path as is there. */
function withLine(problem: string, { lineOf }: ConfigFile): string {
  const [path = ''] = problem.split(':');
  const line = lineOf?.(path.split('.'));
  return line === undefined ? problem : `line ${line}: ${problem}`;
}

/** The schema of a configuration file with the sections of its packs; of our own where there is no file, and none was named. */
export function schemaOf(path: string, wasNamed = false): typeof configSchema {
  const named = wasNamed || existsSync(path) ? namedPacks(readConfigFile(path)) : [];
  return orConfigError(path, () => combinePacks([...ownPacks, ...named])).schema;
}

/** The packs of the file. What is no list of names is left for the schema to refuse. */
function namedPacks({ file, directory, document }: ConfigFile): Pack[] {
  const named = (document as { packs?: unknown } | null)?.packs;
  const problems: string[] = [];
  const packs = (Array.isArray(named) ? named : []).flatMap((name, index) => {
    if (typeof name !== 'string') return [];
    try {
      return [loadPack(name, directory)];
    } catch (error) {
      if (!(error instanceof PackError)) throw error;
      problems.push(...error.problems.map((problem) => `packs.${index}: ${problem}`));
      return [];
    }
  });
  if (problems.length > 0) throw new ConfigError(file, problems);
  return packs;
}

function orConfigError<T>(file: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof PackError)
      throw new ConfigError(
        file,
        error.problems.map((one) => `packs: ${one}`),
      );
    throw error;
  }
}
