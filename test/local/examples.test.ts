import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import type { Example, ExampleParts } from '../../examples/example';
import { PACKAGE_ROOT } from '../../src/config/version';
import { dataPath } from '../../src/host/cache';
import { isListening } from '../../src/host/listening';
import { createStack, type ExampleStack } from '../../src/local/stack';
import { runCli } from '../cli/harness';
import { hasRedis } from '../support/redis';

const parent = dataPath('stacks');
const stacks = () => (existsSync(parent) ? readdirSync(parent) : []);

it('names the examples that there are where there is none of that name', async () => {
  const { code, stderr } = await runCli(['up', '--example', 'constructor']);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/no example constructor; known: .*\bbooking\b/)]);
});

it.each([
  [['--example', 'travel', '--tour'], 'travel has no tour'],
  [['--example', 'booking', '--config', 'x.yaml'], 'leave --config away'],
])('refuses %j', async (args, why) => {
  const { code, stderr } = await runCli(['up', ...args]);
  expect([code, stderr]).toEqual([2, expect.stringContaining(why)]);
});

/** A service that has nothing but what it is given. */
function bare(name: string, start?: (parts: ExampleParts) => Promise<void>): Example {
  return {
    name,
    title: 'Bare',
    needs: ['redis'],
    start: async (parts) => {
      await start?.(parts);
      const configFile = join(parts.directory, 'runbooks.yaml');
      const database = {
        url: '${env:NOBODY_HAS_SET_THIS}',
        identity: { systemIdentifier: '7000000000000000000', database: 'bare' },
      };
      const services = { bare: { environments: { production: { database } } } };
      writeFileSync(configFile, JSON.stringify({ services }));
      return {
        configFile,
        environment: { REDIS_URL: parts.redisUrl! },
        addresses: {},
        trouble: 'none',
        firstSteps: [],
        stop: async () => undefined,
      };
    },
  };
}

it('says what to install where there is no Redis, and has made nothing', () => {
  const before = stacks();
  const path = process.env['PATH'];
  process.env['PATH'] = tmpdir();
  try {
    expect(() => createStack(bare('bare'))).toThrow(/not on the PATH.*apt-get install redis-server/);
  } finally {
    process.env['PATH'] = path;
  }
  expect(stacks()).toEqual(before);
});

(hasRedis() ? describe : describe.skip)('with a Redis', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'dr-example-'));
    // The unprivileged user that runs PostgreSQL must get through.
    chmodSync(directory, 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  async function start(example: Example) {
    const { steps, stop, stack } = createStack(example, { directory, worker: false });
    for (const step of steps) await step.start(() => undefined);
    return { stack: stack(), stop };
  }

  async function inRedis<T>({ redis }: ExampleStack, body: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(redis!.url);
    try {
      return await body(client);
    } finally {
      client.disconnect();
    }
  }

  it('an example gets it, closed to whoever has no password; a folder that is kept keeps its data', async () => {
    const first = await start(bare('bare'));
    const { port } = first.stack.redis!;
    await inRedis(first.stack, (client) => client.set('kept', 'yes'));
    const stranger = new Redis(port, '127.0.0.1', { lazyConnect: true });
    stranger.on('error', () => undefined);
    await expect(stranger.get('kept')).rejects.toThrow('NOAUTH');
    stranger.disconnect();
    await first.stop();
    expect(await isListening({ port, host: '127.0.0.1' })).toBe(false);

    const second = await start(bare('bare'));
    expect(await inRedis(second.stack, (client) => client.get('kept'))).toBe('yes');
    await second.stop();

    expect(() => createStack(bare('other'), { directory })).toThrow(/keeps the data of the example bare/);
  });

  it('an example that cannot start leaves nothing running', async () => {
    let ports: number[] = [];
    const broken = bare('bare', async ({ redisUrl, adminUrl }) => {
      ports = [redisUrl!, adminUrl].map((url) => Number(new URL(url).port));
      throw new Error('broken');
    });
    const { steps, stop } = createStack(broken, { directory });
    const starting = (async () => {
      for (const step of steps) await step.start(() => undefined);
    })();
    await expect(starting).rejects.toThrow('broken');
    await stop();
    expect(ports).toHaveLength(2);
    for (const port of ports) expect(await isListening({ port, host: '127.0.0.1' })).toBe(false);
  });
});

it('an interrupt before everything is up ends what is, and leaves no folder behind', async () => {
  const child = spawn(process.execPath, [join(PACKAGE_ROOT, 'dist/src/cli/main.js'), 'up'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('PostgreSQL')) resolve();
    });
  });
  // Others may have stacks here, too.
  const own = stacks().filter((name) => {
    const file = join(parent, name, 'owner.pid');
    return existsSync(file) && readFileSync(file, 'utf8') === String(child.pid);
  });
  expect(own).toHaveLength(1);
  child.kill('SIGINT');
  expect(await exited).toBe(130);
  expect(existsSync(join(parent, own[0]!))).toBe(false);
});
