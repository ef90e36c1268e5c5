import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { freePort, logTail } from './guardian';
import { clusterUrl, initCluster, systemIdentifierOf } from './postgres-cluster';
import { obtainPostgresBin } from './postgres-obtain';
import {
  cleanEnvironment,
  dataOf,
  logOf,
  serverArguments,
  type ClusterOptions,
  type RunningCluster,
} from './postgres-settings';
import { clusterUser, runAsUser } from './user';

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
