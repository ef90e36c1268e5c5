/** A real Redis for tests, which keeps what it has been told when it is killed. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { freePort } from '../../src/host/guardian';
import { findRedis, startRedis as startServer, type LocalRedis } from '../../src/host/redis';
import { until } from './postgres';

export interface TestRedis {
  url: string;
  port: number;
  /** For what tests do to it; connects again by itself. */
  client: Redis;
  /** SIGKILL: what a crash looks like. */
  kill(): Promise<void>;
  /** Starts it again, on what it has kept, or with `empty` on nothing. */
  start(options?: { empty?: boolean }): Promise<void>;
  stop(): Promise<void>;
}

/** Starts one on a free port, in a folder of its own. The caller stops it. */
export async function startRedis(password?: string): Promise<TestRedis> {
  const directory = mkdtempSync(join(tmpdir(), 'dr-redis-'));
  const port = await freePort();
  let server: LocalRedis | undefined;
  const start = async ({ empty = false }: { empty?: boolean } = {}): Promise<void> => {
    if (empty) rmSync(join(directory, 'appendonlydir'), { recursive: true, force: true });
    server = await startServer({ directory, port, password });
    await until(async () => (await client.ping().catch(() => '')) === 'PONG');
  };
  const client = new Redis(port, '127.0.0.1', {
    maxRetriesPerRequest: null,
    retryStrategy: () => 20,
    ...(password === undefined ? {} : { password }),
  });
  client.on('error', () => undefined);
  const kill = async (): Promise<void> => server?.kill();
  await start();
  return {
    url: server!.url,
    port,
    client,
    kill,
    start,
    stop: async () => {
      client.disconnect();
      await kill();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Debian's package, or any other on the PATH. */
export function hasRedis(): boolean {
  try {
    findRedis();
    return true;
  } catch {
    return false;
  }
}
