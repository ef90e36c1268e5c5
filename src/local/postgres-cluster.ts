import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort, logTail } from './guardian';
import { obtainPostgresBin } from './postgres-obtain';
import { clusterUser, runAsUser } from './user';

/** Settings of a cluster that may be lost at any moment: restores run faster, archiving can hurt nobody. */
export const DISPOSABLE_SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'off',
  full_page_writes: 'off',
  synchronous_commit: 'off',
  wal_level: 'minimal',
  max_wal_senders: '0',
  archive_mode: 'off',
  max_wal_size: '8GB',
  maintenance_work_mem: '512MB',
  max_logical_replication_workers: '0',
  autovacuum: 'off',
};

export interface ClusterOptions {
  /** A folder of our own; data, log, socket and password lie in it. */
  directory: string;
  /** Folder of the PostgreSQL programs; default: found or obtained. */
  binDirectory?: string;
  port?: number;
  /** false: DISPOSABLE_SETTINGS. Never promote such a cluster. Default true. */
  durable?: boolean;
  /** Settings by name; they win over everything, ALTER SYSTEM included. */
  settings?: Record<string, string>;
}

export interface RunningCluster {
  /** Superuser URL on the loopback address, password included. */
  url: string;
  port: number;
  /** Process ID of the postmaster. */
  pid: number;
  binDirectory: string;
  systemIdentifier: string;
  directory: string;
}

export const dataOf = (directory: string): string => join(directory, 'data');
export const logOf = (directory: string): string => join(directory, 'postgres.log');
const passwordOf = (directory: string): string => join(directory, 'superuser.password');

/** Our environment without PG*: PGHOST, PGOPTIONS and the like would lead the tools somewhere else. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([name]) => !/^PG[A-Z]/.test(name));
  return { ...Object.fromEntries(entries), LC_MESSAGES: 'C', LC_ALL: 'C' };
}

/**
 * Makes a cluster in `directory` unless it is there already: superuser `postgres` with a generated password, scram on
 * every connection, data owned by the unprivileged user. Built beside and renamed, so that a killed try leaves none.
 */
export async function initCluster(
  options: ClusterOptions,
): Promise<{ binDirectory: string; systemIdentifier: string }> {
  const { directory } = options;
  const binDirectory = options.binDirectory ?? (await obtainPostgresBin()).directory;
  const user = clusterUser();
  await mkdir(directory, { recursive: true });
  if (user !== undefined) await chown(directory, user.uid, user.gid);
  if (!existsSync(join(dataOf(directory), 'PG_VERSION'))) {
    const fresh = join(directory, `init-${randomBytes(4).toString('hex')}`);
    const secret = `${fresh}.password`;
    try {
      await writeFile(secret, randomBytes(24).toString('base64url'), { mode: 0o600 });
      if (user !== undefined) await chown(secret, user.uid, user.gid);
      await reachable(directory);
      await runAsUser(join(binDirectory, 'initdb'), initArguments(fresh, secret, options.durable ?? true), {
        user,
        directory,
        environment: cleanEnvironment(),
        timeoutMs: 120_000,
      });
      await rename(secret, passwordOf(directory));
      await rename(fresh, dataOf(directory));
    } finally {
      await rm(secret, { force: true });
      await rm(fresh, { recursive: true, force: true });
    }
  }
  return { binDirectory, systemIdentifier: await systemIdentifierOf(directory, binDirectory) };
}

function initArguments(data: string, passwordFile: string, durable: boolean): string[] {
  const locale = process.platform === 'linux' ? 'C.UTF-8' : 'C';
  const args = ['--pgdata', data, '--username=postgres', '--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  args.push('--encoding=UTF8', `--locale=${locale}`, ...(durable ? ['--data-checksums'] : ['--no-sync']));
  return args;
}

async function reachable(directory: string): Promise<void> {
  const user = clusterUser();
  if (user === undefined) return;
  await runAsUser('/bin/sh', ['-c', 'cd "$1"', 'sh', directory], { user }).catch(() => {
    throw new Error(
      `User ${user.name}, which runs PostgreSQL because we are root, cannot reach ${directory}. ` +
        `Choose a folder whose parents it may enter, or allow it with chmod a+x on them.`,
    );
  });
}

async function systemIdentifierOf(directory: string, binDirectory: string): Promise<string> {
  const printed = await runAsUser(join(binDirectory, 'pg_controldata'), ['--pgdata', dataOf(directory)], {
    user: clusterUser(),
    environment: cleanEnvironment(),
  });
  const found = /system identifier:\s+(\d+)/.exec(printed)?.[1];
  if (found === undefined)
    throw new Error(`${directory} holds no PostgreSQL cluster that ${binDirectory} can read.`);
  return found;
}

/** `-c` arguments for the server. On the command line because nothing else wins over ALTER SYSTEM. */
export function serverArguments(directory: string, port: number, options: ClusterOptions): string[] {
  // A socket's path must fit into 107 bytes; TCP is enough where it does not.
  const socket = Buffer.byteLength(dataOf(directory)) < 85 ? dataOf(directory) : '';
  const settings: Record<string, string> = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socket,
    ...(options.durable === false ? DISPOSABLE_SETTINGS : {}),
    ...options.settings,
  };
  return [
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
}

export async function clusterUrl(directory: string, port: number): Promise<string> {
  const password = (await readFile(passwordOf(directory), 'utf8')).trim();
  return `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
}

/**
 * Starts the cluster in `directory` as a daemon that survives this process; makes it first where there is none.
 * Safe to repeat: a running cluster is returned as it is, whatever port was asked for.
 */
export async function startCluster(options: ClusterOptions): Promise<RunningCluster> {
  const { directory } = options;
  const { binDirectory } = await initCluster(options);
  const running = await runningCluster(directory, binDirectory);
  if (running !== undefined) return running;
  const quote = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const server = serverArguments(directory, port, options).map(quote).join(' ');
    try {
      await pgCtl(binDirectory, directory, ['start', '-w', '-t', '60', '-l', logOf(directory), '-o', server]);
      break;
    } catch (error) {
      const other = await runningCluster(directory, binDirectory); // a second attempt may have been faster
      if (other !== undefined) return other;
      if (attempt < 4 && isTransient(directory)) continue;
      throw startFailure(directory, error);
    }
  }
  const started = await runningCluster(directory, binDirectory);
  if (started === undefined) throw startFailure(directory, new Error('it ended at once'));
  return started;
}

/** Whether the log's end shows what goes away by itself: a port taken meanwhile, remains of a killed server. */
export function isTransient(directory: string): boolean {
  return /Address already in use|could not create any TCP|shared memory block .* still in use/.test(
    logTail(logOf(directory), 6),
  );
}

export function startFailure(directory: string, error: unknown): Error {
  const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  return new Error(
    `PostgreSQL in ${directory} did not start: ${why}\nEnd of its log:\n${logTail(logOf(directory))}`,
  );
}

/** The cluster in `directory` if its postmaster runs and is the one that owns this data, else undefined. */
export async function runningCluster(
  directory: string,
  binDirectory: string,
): Promise<RunningCluster | undefined> {
  const alive = await pgCtl(binDirectory, directory, ['status']).then(
    () => true,
    () => false,
  );
  if (!alive) return undefined;
  const [pid, , , port] = (
    await readFile(join(dataOf(directory), 'postmaster.pid'), 'utf8').catch(() => '')
  ).split('\n');
  const url = await clusterUrl(directory, Number(port));
  const systemIdentifier = await systemIdentifierOf(directory, binDirectory);
  await waitUntilOurs(url, systemIdentifier, 60_000);
  return { url, port: Number(port), pid: Number(pid), binDirectory, systemIdentifier, directory };
}

/**
 * Waits until the server answers and proves to be the cluster with that identifier: a free port may have been taken by
 * somebody else's PostgreSQL in the meantime, and that one we never touch.
 */
export async function waitUntilOurs(
  url: string,
  systemIdentifier: string,
  timeoutMs: number,
  alive = () => true,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const client = new Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ id: string }>(
        'SELECT system_identifier::text AS id FROM pg_control_system()',
      );
      if (rows[0]?.id === systemIdentifier) return;
      throw new Error(`another PostgreSQL (${rows[0]?.id}) answers at the port of ${systemIdentifier}`);
    } catch (error) {
      if (!alive()) throw new Error('the server ended');
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/**
 * Stops the daemon in `directory`. Nothing to do where none runs, so a retry is safe.
 * `fast` ends sessions and writes a checkpoint; `immediate` is a crash, right for a copy that is thrown away.
 */
export async function stopCluster(
  directory: string,
  options: { binDirectory?: string; mode?: 'fast' | 'immediate' } = {},
): Promise<void> {
  if (!existsSync(join(dataOf(directory), 'postmaster.pid'))) return;
  const binDirectory = options.binDirectory ?? (await obtainPostgresBin()).directory;
  try {
    await pgCtl(binDirectory, directory, ['stop', '-m', options.mode ?? 'fast', '-w', '-t', '60']);
  } catch (error) {
    const stopped = await pgCtl(binDirectory, directory, ['status']).then(
      () => false,
      () => true,
    );
    if (!stopped) throw new Error(`PostgreSQL in ${directory} did not stop: ${(error as Error).message}`);
  }
}

async function pgCtl(binDirectory: string, directory: string, args: string[]): Promise<void> {
  await runAsUser(join(binDirectory, 'pg_ctl'), ['-D', dataOf(directory), ...args], {
    user: clusterUser(),
    directory,
    environment: cleanEnvironment(),
    timeoutMs: 90_000,
  });
}

/** Data folders are private to the server's user; readers of the log come from outside. */
export async function prepareLog(directory: string): Promise<void> {
  const user = clusterUser();
  await writeFile(logOf(directory), '', { flag: 'a', mode: 0o640 });
  await chmod(logOf(directory), 0o640);
  if (user !== undefined) await chown(logOf(directory), user.uid, user.gid);
}
