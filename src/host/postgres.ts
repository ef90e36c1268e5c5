/** Our own PostgreSQL: found, made, started, stopped. Nothing here touches a server that it did not start. */
import { join } from 'node:path';
import { freePort, spawnGuarded, type Guarded } from './guardian';
import { clusterUrl, initCluster, prepareLog } from './postgres-cluster';
import { isTransient, startFailure, waitUntilOurs } from './postgres-daemon';
import { cleanEnvironment, dataOf, logOf, serverArguments, type ClusterOptions } from './postgres-settings';
import { clusterUser } from './user';

export { findPostgresBin, listPostgresBins, PostgresNotFound, type PostgresBin } from './postgres-bin';
export { obtainPostgresBin } from './postgres-obtain';
export { initCluster } from './postgres-cluster';
export { runningCluster, startCluster, stopCluster } from './postgres-daemon';
export { DISPOSABLE_SETTINGS, type ClusterOptions, type RunningCluster } from './postgres-settings';
export { clusterUser, runAsUser, type SystemUser } from './user';

export interface LocalPostgres {
  /** Superuser URL on the loopback address, password included. The same after a restart. */
  readonly url: string;
  readonly port: number;
  readonly binDirectory: string;
  readonly systemIdentifier: string;
  /** Process ID of the postmaster now. */
  pid(): number;
  /** Ends sessions, writes a checkpoint, stops. */
  stop(): Promise<void>;
  /** Stops if it runs, and starts again on the same port. */
  restart(): Promise<void>;
  /** SIGKILL of the postmaster, as in a crash. */
  kill(): Promise<void>;
}

/**
 * Starts a PostgreSQL of our own in `directory` that stops with this process, also when this process is killed. The data
 * stays; the next start continues with it. As root it runs under an unprivileged user, which must be able to reach
 * `directory`. Throws with the end of the server's log when it does not start.
 */
export async function startPostgres(options: ClusterOptions): Promise<LocalPostgres> {
  const { directory } = options;
  const { binDirectory, systemIdentifier } = await initCluster(options);
  await prepareLog(directory);
  let { server, port } = await launch(options, binDirectory, systemIdentifier);
  const url = await clusterUrl(directory, port);
  return {
    url,
    port,
    binDirectory,
    systemIdentifier,
    pid: () => server.pid,
    stop: () => server.stop(),
    kill: () => server.kill(),
    restart: async () => {
      await server.stop();
      ({ server, port } = await launch({ ...options, port }, binDirectory, systemIdentifier));
    },
  };
}

async function launch(options: ClusterOptions, binDirectory: string, systemIdentifier: string) {
  const { directory } = options;
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const server: Guarded = await spawnGuarded({
      program: join(binDirectory, 'postgres'),
      args: ['-D', dataOf(directory), ...serverArguments(directory, port, options)],
      directory,
      environment: cleanEnvironment(),
      logFile: logOf(directory),
      user: clusterUser(),
      stopSignal: 'INT', // "fast": does not wait for sessions to leave
      graceSeconds: 30,
    });
    try {
      await waitUntilOurs(await clusterUrl(directory, port), systemIdentifier, 60_000, () =>
        server.running(),
      );
      return { server, port };
    } catch (error) {
      await server.stop();
      if (attempt >= 20 || !isTransient(directory)) throw startFailure(directory, error);
      await new Promise((resolve) => setTimeout(resolve, 250)); // backends of a killed postmaster take a moment to leave
    }
  }
}
