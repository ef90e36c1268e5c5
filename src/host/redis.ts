/** A Redis of our own: found on the PATH, started, stopped. It keeps what it has been told, also when it is killed. */
import { accessSync, constants, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort, logTail, spawnGuarded, type Guarded } from './guardian';

const PROGRAM = 'redis-server';

export class RedisNotFound extends Error {
  constructor() {
    super(
      `${PROGRAM} is not on the PATH, and this needs one. Install it: \`apt-get install redis-server\`, ` +
        '`dnf install redis` (or valkey-compat-redis), `brew install redis`.',
    );
    this.name = 'RedisNotFound';
  }
}

/** Its path. Throws RedisNotFound. */
export function findRedis(): string {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, PROGRAM);
    if (folder !== '' && isRunnable(path)) return path;
  }
  throw new RedisNotFound();
}

function isRunnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RedisOptions {
  /** Its data, settings and log; what is in it is taken up again. */
  directory: string;
  /** Default: a free one. */
  port?: number;
  /** Default: none, for whoever is on this machine. */
  password?: string;
}

export interface LocalRedis {
  /** On the loopback address, password included. */
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
  /** SIGKILL: what a crash looks like. */
  kill(): Promise<void>;
}

const START_MS = 30_000;

/** Starts one that stops with this process, also when this process is killed. Throws with the end of its log. */
export async function startRedis(options: RedisOptions): Promise<LocalRedis> {
  const { directory, password } = options;
  const program = findRedis();
  const port = options.port ?? (await freePort());
  mkdirSync(directory, { recursive: true });
  const settings = join(directory, 'redis.conf');
  // In a file: the list of processes is for everybody.
  writeFileSync(settings, settingsText(port, password), { mode: 0o600 });
  const logFile = join(directory, 'redis.log');
  const server = await spawnGuarded({ program, args: [settings], directory, logFile });
  const user = password === undefined ? '' : `:${encodeURIComponent(password)}@`;
  const url = `redis://${user}127.0.0.1:${port}`;
  try {
    await untilReady(url, server);
  } catch (error) {
    await server.kill();
    throw new Error(`${PROGRAM} did not start: ${(error as Error).message}\n${logTail(logFile)}`);
  }
  return { url, port, stop: server.stop, kill: server.kill };
}

function settingsText(port: number, password: string | undefined): string {
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    'dir .',
    'appendonly yes',
    'appendfsync always',
    'save ""',
    // What BullMQ asks for: a queue that loses jobs is none.
    'maxmemory-policy noeviction',
  ];
  if (password !== undefined) lines.push(`requirepass "${password}"`);
  return `${lines.join('\n')}\n`;
}

/** It listens before it has read its data: it is ready when it answers. */
async function untilReady(url: string, server: Guarded): Promise<void> {
  const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  client.on('error', () => undefined);
  try {
    for (const end = Date.now() + START_MS; ;) {
      const answer = await Promise.race([client.ping().catch(() => ''), sleep(500, '')]);
      if (answer === 'PONG') return;
      if (!server.running()) throw new Error('it ended at once');
      if (Date.now() > end) throw new Error(`it does not answer within ${START_MS / 1_000} s`);
    }
  } finally {
    client.disconnect();
  }
}
