import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { obtainPostgresBin } from './postgres-obtain';
import { cleanEnvironment, dataOf, logOf, passwordOf, type ClusterOptions } from './postgres-settings';
import { clusterUser, runAsUser } from './user';

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

/** The identity of the cluster in `directory`, also while it does not run. */
export async function systemIdentifierOf(directory: string, binDirectory: string): Promise<string> {
  const printed = await runAsUser(join(binDirectory, 'pg_controldata'), ['--pgdata', dataOf(directory)], {
    user: clusterUser(),
    environment: cleanEnvironment(),
  });
  const found = /system identifier:\s+(\d+)/.exec(printed)?.[1];
  if (found === undefined)
    throw new Error(`${directory} holds no PostgreSQL cluster that ${binDirectory} can read.`);
  return found;
}

/** Superuser URL of the cluster in `directory`, password included. */
export async function clusterUrl(directory: string, port: number): Promise<string> {
  const password = (await readFile(passwordOf(directory), 'utf8')).trim();
  return `postgresql://postgres:${password}@127.0.0.1:${port}/postgres`;
}

/** Data folders are private to the server's user; readers of the log come from outside. */
export async function prepareLog(directory: string): Promise<void> {
  const user = clusterUser();
  await writeFile(logOf(directory), '', { flag: 'a', mode: 0o640 });
  await chmod(logOf(directory), 0o640);
  if (user !== undefined) await chown(logOf(directory), user.uid, user.gid);
}

export { cleanEnvironment };
