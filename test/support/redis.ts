/** A real Redis for tests, which keeps what it has been told when it is killed. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
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
  let server: ChildProcess | undefined;
  const start = async ({ empty = false }: { empty?: boolean } = {}): Promise<void> => {
    if (empty) rmSync(join(directory, 'appendonlydir'), { recursive: true, force: true });
    const settings = {
      port,
      bind: '127.0.0.1',
      dir: directory,
      appendonly: 'yes',
      appendfsync: 'always',
      save: '',
    };
    const args = Object.entries({
      ...settings,
      ...(password === undefined ? {} : { requirepass: password }),
    });
    const child = spawn(
      'redis-server',
      args.flatMap(([name, value]) => [`--${name}`, String(value)]),
      { stdio: 'ignore' },
    );
    const end = () => child.kill('SIGKILL');
    process.once('exit', end);
    child.once('exit', () => process.off('exit', end));
    server = child;
    await until(async () => (await client.ping().catch(() => '')) === 'PONG');
  };
  const client = new Redis(port, '127.0.0.1', {
    maxRetriesPerRequest: null,
    retryStrategy: () => 20,
    ...(password === undefined ? {} : { password }),
  });
  client.on('error', () => undefined);
  const kill = async (): Promise<void> => {
    if (server === undefined || server.exitCode !== null || server.signalCode !== null) return;
    const gone = new Promise((resolve) => server!.once('exit', resolve));
    server.kill('SIGKILL');
    await gone;
  };
  await start();
  const user = password === undefined ? '' : `:${password}@`;
  return {
    url: `redis://${user}127.0.0.1:${port}`,
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
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
