import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Document, LineCounter, parseDocument } from 'yaml';
import { lineFinder } from './lines';
import { problemsOf, problemText, suggestion } from './problem-text';
import { configSchema, type Config, type DatabaseConfig } from './schema';

/** A configuration as the worker uses it: parsed, with the folder that its relative paths start from. */
export interface LoadedConfig extends Config {
  file: string;
  directory: string;
}

/** All problems of a configuration at once, each with its path. */
export class ConfigError extends Error {
  constructor(
    readonly file: string,
    readonly problems: string[],
  ) {
    super(
      `${file} has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n  ${problems.join('\n  ')}`,
    );
    this.name = 'ConfigError';
  }
}

/** The file named by --config, else by RUNBOOKS_CONFIG, else `runbooks.yaml` here. */
export function configPath(given?: string): string {
  return resolve(given ?? (process.env['RUNBOOKS_CONFIG'] || 'runbooks.yaml'));
}

/** A configuration file that is YAML; nothing else is known of it yet. */
export interface ConfigFile {
  file: string;
  directory: string;
  document: unknown;
  /** Line of a path, or of as much of it as is there. */
  lineOf?(path: readonly PropertyKey[]): number | undefined;
}

/** Reads a configuration file. Throws ConfigError. */
export function readConfigFile(path: string): ConfigFile {
  const file = resolve(path);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(file, [
      `cannot be read: ${(error as Error).message}. \`runbooks init\` writes one to start from.`,
    ]);
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => `line ${lines.linePos(error.pos[0]).line}: ${reasonOf(error.message)}`),
    );
  }
  return {
    file,
    directory: dirname(file),
    document: contentOf(document, file),
    lineOf: lineFinder(document, lines),
  };
}

/** What the parser says before it shows the place, which is named already. */
function reasonOf(message: string): string {
  return (message.split('\n')[0] ?? '').replace(/ at line \d+, column \d+:?$/, '');
}

/** A thousand services may share an anchor; what multiplies itself is no configuration. */
const ALIASES = { maxAliasCount: 100_000 };

/** What an anchor or an alias makes impossible shows only here. */
function contentOf(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS(ALIASES);
  } catch (error) {
    throw new ConfigError(file, [`anchors and aliases: ${(error as Error).message}`]);
  }
}

/** Parses what was read, without a look at what its names refer to. Throws ConfigError with every problem. */
export function parseConfig(
  { file, directory, document, lineOf }: ConfigFile,
  schema: typeof import('./schema').configSchema,
): LoadedConfig {
  const parsed = schema.safeParse(document);
  if (parsed.success) return { ...parsed.data, file, directory };
  const problems = problemsOf(parsed.error.issues, { value: document, schema, discreet: true });
  throw new ConfigError(
    file,
    problems.map((problem) => {
      const line = lineOf?.(problem.path);
      return `${line === undefined ? '' : `line ${line}: `}${problemText(problem, '(top)')}`;
    }),
  );
}

/**
 * How to reach Temporal, of a configuration that cannot be used as a whole: each field that is sound, whatever stands beside it.
 * The defaults for the others, and where nothing of it can be read.
 */
export function salvageTemporal(path: string): Config['temporal'] {
  const { temporal } = configSchema.shape;
  const found = temporalIn(path);
  const isSound = (name: string, value: unknown) => temporal.safeParse({ [name]: value }).success;
  const sound = Object.fromEntries(Object.entries(found).filter(([name, value]) => isSound(name, value)));
  // With the keys of a codec everything can be read; its server is no part of that.
  const codec = { keys: (found['codec'] as { keys?: unknown } | null | undefined)?.keys };
  return temporal.parse(isSound('codec', codec) ? { codec, ...sound } : sound);
}

function temporalIn(path: string): Record<string, unknown> {
  try {
    const document = parseDocument(readFileSync(path, 'utf8')).toJS(ALIASES) as { temporal?: unknown } | null;
    return (document?.temporal ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** Thrown when a name in an input is not in the configuration. */
export class UnknownName extends Error {
  constructor(kind: string, name: string, known: string[]) {
    const near = suggestion(name, known);
    super(
      `unknown ${kind} "${name}"${near === '' ? '.' : near} Known: ${known.length > 0 ? known.join(', ') : 'none'}.`,
    );
    this.name = 'UnknownName';
  }
}

/** The service of that name. Throws UnknownName. */
export function serviceOf<Service>(config: { services: Record<string, Service> }, name: string): Service {
  const service = config.services[name];
  if (service === undefined) throw new UnknownName('service', name, Object.keys(config.services));
  return service;
}

/** The environment of that name. Throws UnknownName. */
export function environmentOf<Environment>(
  config: { services: Record<string, { environments: Record<string, Environment> }> },
  service: string,
  name: string,
): Environment {
  const { environments } = serviceOf(config, service);
  const environment = environments[name];
  if (environment === undefined)
    throw new UnknownName(`environment of ${service}`, name, Object.keys(environments));
  return environment;
}

/** The registered database of an environment. Throws UnknownName. */
export function databaseOf(config: Config, service: string, environment: string): DatabaseConfig {
  return environmentOf(config, service, environment).database;
}
