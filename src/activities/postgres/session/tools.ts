import { join, resolve } from 'node:path';
import type { Client } from 'pg';
import { findPostgresBin, PostgresNotFound } from '../../../host/postgres-bin';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { runCommand, type Command } from '../../support/subprocess';

/** The PostgreSQL client tools that this worker uses. */
export interface Tools {
  folder: string;
  /** e.g. `pg_dump (PostgreSQL) 15.18` */
  version: string;
  major: number;
}

export interface ToolResult {
  exitCode: number;
  stdout: string;
  /** The lines of its error output that say what went wrong. */
  why: string;
}

/** Finds the client tools and asks pg_dump for its version. Throws CommandFailed where there are none. */
export async function openTools(deps: ActivityDeps): Promise<Tools> {
  const folder = await binFolder(deps);
  const { stdout } = await runCommand({
    program: join(folder, 'pg_dump'),
    args: ['--version'],
    timeoutMs: 20_000,
  });
  const version = stdout.trim();
  const major = Number(/\) (\d+)/.exec(version)?.[1]);
  if (!Number.isInteger(major))
    throw fail('CommandFailed', `${folder}/pg_dump does not tell its version: "${version}".`);
  return { folder, version, major };
}

/** The folder that the configuration names, else the first that is found; with `major` only such a one. */
async function binFolder(deps: ActivityDeps, major?: number): Promise<string> {
  const configured = deps.config.postgresBin;
  const preferred = configured === undefined ? undefined : resolve(deps.config.directory, configured);
  // Looking runs every candidate once; where it is does not change while the worker lives.
  const key = `${preferred ?? ''}|${major ?? ''}`;
  const known = foundFolders.get(key);
  if (known !== undefined) return known;
  try {
    const { directory } = await findPostgresBin(preferred, { major });
    foundFolders.set(key, directory);
    return directory;
  } catch (error) {
    if (error instanceof PostgresNotFound) throw fail('CommandFailed', error.message);
    throw error;
  }
}

const foundFolders = new Map<string, string>();

/** Runs one of the tools. A non-zero exit is returned with the lines that explain it. */
export async function runTool(
  tools: Tools,
  program: string,
  args: string[],
  options: Omit<Command, 'program' | 'args'> = {},
): Promise<ToolResult> {
  const { exitCode, stdout, stderr } = await runCommand({
    program: join(tools.folder, program),
    args,
    ...options,
  });
  return { exitCode, stdout, why: explain(stderr) };
}

/** With --verbose most lines of the error output are progress; the ones that matter say so themselves. */
function explain(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) =>
    /error|fatal|panic|detail|hint|command was|failed|No space|mismatch|warning/i.test(line),
  );
  return (telling.length > 0 ? telling : lines).slice(-8).join(' | ').slice(-1_500);
}

/** Refuses to dump a server that is newer than the tools. Throws ClientTooOld. */
export async function requireClientFor(client: Client, tools: Tools): Promise<void> {
  const { rows } = await client.query<{ num: number }>(
    `SELECT current_setting('server_version_num')::int AS num`,
  );
  requireMajor(Math.floor((rows[0]?.num ?? 0) / 10_000), tools);
}

/** Throws ClientTooOld where the tools are older than a server of that major version. */
export function requireMajor(serverMajor: number, tools: Tools): void {
  if (tools.major >= serverMajor) return;
  throw fail(
    'ClientTooOld',
    `The server is PostgreSQL ${serverMajor}, the client tools in ${tools.folder} are ${tools.major}. ` +
      `Install client tools of version ${serverMajor} or newer and name their folder in \`postgresBin\`.`,
  );
}

/** pg_dump speaks zstd from 16 on. Throws ClientTooOld where it is older. */
export function requireCompression(compression: number | string, tools: Tools): void {
  if (typeof compression === 'number' || tools.major >= 16) return;
  throw fail(
    'ClientTooOld',
    `backups.compression is ${compression}, and the client tools in ${tools.folder} are ${tools.major}: zstd needs 16. ` +
      `Install newer ones and name their folder in \`postgresBin\`, or set a gzip level.`,
  );
}

/** Folder with the server programs of exactly that major version. Throws CommandFailed where the worker has none. */
export async function findServer(deps: ActivityDeps, major: number): Promise<string> {
  return binFolder(deps, major);
}
