/** A Temporal server of our own with its UI: the development server, tuned and with a database file. */
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { searchAttributes } from '../contract/search-attributes';
import type { Progress } from '../host/cache';
import { freePort, logTail, spawnGuarded, type Guarded } from '../host/guardian';
import { obtainTemporalCli } from './temporal-cli';

export { findTemporalCli, obtainTemporalCli, TemporalNotFound, type Executable } from './temporal-cli';

const SEARCH_ATTRIBUTES = Object.values(searchAttributes).map(({ name }) => name);

/**
 * Measured on two cores: with the server's defaults five sequential activities take 550 ms, because one shard may poll
 * each of its queues 20 times a second; with these 75-105 ms. Without the time shift, timers below a second are a
 * second late.
 */
const DYNAMIC_CONFIG: Readonly<Record<string, string>> = {
  'history.transferProcessorMaxPollRPS': '1000',
  'history.timerProcessorMaxPollRPS': '1000',
  'history.visibilityProcessorMaxPollRPS': '1000',
  'history.timerProcessorMaxTimeShift': '"20ms"',
  'system.enableActivityEagerExecution': 'true',
  // Without these it heeds neither the severity of a run nor its service.
  'matching.useNewMatcher': 'true',
  'matching.enableFairness': 'true',
  // A client that is frozen keeps its connection, and its open polls go on taking work, until it does not answer these.
  'frontend.keepAliveTime': '"3s"',
  'frontend.keepAliveTimeout': '"5s"',
};

export interface TemporalOptions {
  /** A folder of our own for the database file and the log. */
  directory: string;
  /** Default: a free one. */
  port?: number;
  uiPort?: number;
  /** Keep nothing: no database file. */
  ephemeral?: boolean;
  /** Registered as Keyword; default: those of the runs. */
  searchAttributes?: string[];
  /** Executable of the Temporal CLI; default: found or obtained. */
  cli?: string;
  /** Beside ours, and over them. */
  dynamicConfig?: Record<string, string>;
  progress?: Progress;
}

export interface LocalTemporal {
  /** host:port of the gRPC front end. */
  readonly address: string;
  readonly port: number;
  readonly uiUrl: string;
  readonly uiPort: number;
  /** Process ID of the server. */
  readonly pid: number;
  /** Ends it in order; the database file is complete afterwards. */
  stop(): Promise<void>;
  /** SIGKILL, as in a crash. */
  kill(): Promise<void>;
}

/**
 * Starts a Temporal server on the loopback address that stops with this process, also when this process is killed.
 * Started again with the same directory and port it goes on with the runs it had, and clients reconnect by themselves.
 * Resolves when it answers, the search attributes are registered and the UI is up. Throws with the end of its log.
 */
export async function startTemporal(options: TemporalOptions): Promise<LocalTemporal> {
  const program = options.cli ?? (await obtainTemporalCli({ progress: options.progress })).path;
  const { directory } = options;
  await mkdir(directory, { recursive: true });
  await chmod(directory, 0o700); // histories are nobody else's business
  const logFile = join(directory, 'temporal.log');
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const uiPort = options.uiPort ?? (await freePort());
    const server = await spawnGuarded({
      program,
      args: serverArguments(options, port, uiPort),
      directory,
      logFile,
    });
    const address = `127.0.0.1:${port}`;
    const uiUrl = `http://127.0.0.1:${uiPort}`;
    try {
      await healthy(server, address, uiUrl, options.searchAttributes ?? SEARCH_ATTRIBUTES);
      return {
        address,
        port,
        uiUrl,
        uiPort,
        pid: server.pid,
        stop: () => server.stop(),
        kill: () => server.kill(),
      };
    } catch (error) {
      await server.stop();
      const tail = logTail(logFile);
      // A port that was free a moment ago, or the one of a server that is still going down.
      if (attempt < 10 && /address already in use|can't set up port/i.test(tail)) {
        await sleep(options.port === undefined ? 0 : 500);
        continue;
      }
      throw new Error(
        `Temporal did not start at ${address}: ${(error as Error).message}\nEnd of ${logFile}:\n${tail}`,
      );
    }
  }
}

function serverArguments(options: TemporalOptions, port: number, uiPort: number): string[] {
  const args = [
    'server',
    'start-dev',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--ui-port',
    String(uiPort),
  ];
  args.push('--log-level', 'warn', '--disable-config-file', '--disable-config-env');
  if (options.ephemeral !== true) {
    args.push('--db-filename', join(options.directory, 'temporal.db'));
    args.push('--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=1');
  }
  for (const [key, value] of Object.entries({ ...DYNAMIC_CONFIG, ...options.dynamicConfig }))
    args.push('--dynamic-config-value', `${key}=${value}`);
  for (const name of options.searchAttributes ?? SEARCH_ATTRIBUTES)
    args.push('--search-attribute', `${name}=Keyword`);
  return args;
}

async function healthy(server: Guarded, address: string, uiUrl: string, attributes: string[]): Promise<void> {
  const deadline = Date.now() + 60_000;
  let last: unknown = new Error('no answer');
  while (Date.now() < deadline) {
    if (!server.running()) throw new Error(`the server ended with status ${await server.exited}`);
    try {
      await checkOnce(address, uiUrl, attributes);
      return;
    } catch (error) {
      last = error;
      await sleep(50);
    }
  }
  throw last;
}

async function checkOnce(address: string, uiUrl: string, attributes: string[]): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 2_000 });
  try {
    const { customAttributes } = await connection.withDeadline(Date.now() + 5_000, () =>
      connection.operatorService.listSearchAttributes({ namespace: 'default' }),
    );
    const missing = attributes.filter((name) => !(name in (customAttributes ?? {})));
    if (missing.length > 0) throw new Error(`search attributes not registered yet: ${missing.join(', ')}`);
  } finally {
    await connection.close();
  }
  const response = await fetch(uiUrl, { signal: AbortSignal.timeout(2_000) });
  if (!response.ok) throw new Error(`the UI answered ${response.status}`);
}
