import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { retryAll } from '../src/activities/queues/retry';
import { queuesSchema } from '../src/activities/queues/settings';
import { freePort } from '../src/host/guardian';
import { alternate, median, ratios, round, spread, type Results } from './measure';

const JOBS = 10_000;
const REASON = 'connection refused';

/** Failed jobs a second that are retried by ID, each noted, beside BullMQ's own `retryJobs`. */
export async function measureQueueRetry(rounds: number): Promise<Results> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-redis-'));
  const port = await freePort();
  const server = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
    { stdio: 'ignore' },
  );
  const redis = new Redis(port, { maxRetriesPerRequest: null });
  redis.on('error', () => undefined);
  try {
    const settings = queuesSchema.parse({
      redis: { url: `redis://127.0.0.1:${port}` },
      names: [{ name: 'jobs' }],
    });
    const config = settings.names[0]!;
    const queue = new Queue('jobs', { connection: redis, prefix: settings.prefix });
    await queue.waitUntilReady();
    const wanted = { run: 'bench', reasons: [REASON], after: 0, before: Infinity };
    const ours = () =>
      retryAll(
        { redis, queue, config, settings, title: 'jobs' },
        { ...wanted, perReason: JOBS, limit: JOBS },
        new AbortController().signal,
        () => undefined,
      );
    const sides: number[][] = [[], []];
    const turn = (rates: number[], retry: () => Promise<unknown>) => async () => {
      await failAll(redis, queue);
      const startedAt = performance.now();
      await retry();
      const seconds = (performance.now() - startedAt) / 1_000;
      if ((await queue.getWaitingCount()) !== JOBS) throw new Error('not every job was retried');
      rates.push(JOBS / seconds);
    };
    await alternate(
      rounds,
      [turn(sides[0]!, ours), turn(sides[1]!, () => queue.retryJobs({ count: 1_000 }))],
      async () => undefined,
    );
    const found = ratios(sides[0]!, sides[1]!);
    return {
      'queue.retryPerSecond': {
        value: Math.round(median(sides[0]!)),
        unit: 'jobs/s',
        baseline: Math.round(median(sides[1]!)),
        note: `${JOBS} failed jobs, by ID and noted one by one: ${spread(sides[0]!, 'jobs/s')}; BullMQ's retryJobs, which looks at none of them: ${spread(sides[1]!, 'jobs/s')}; ratio ${round(median(found), 3)}`,
      },
    };
  } finally {
    redis.disconnect();
    server.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As a worker leaves them. */
async function failAll(redis: Redis, queue: Queue): Promise<void> {
  await redis.flushall();
  const now = Date.now() - 1_000;
  const pipeline = redis.pipeline();
  for (let id = 0; id < JOBS; id += 1) {
    const ended = { atm: 1, ats: 1, processedOn: now, finishedOn: now, failedReason: REASON };
    const job = {
      name: 'do',
      data: '{}',
      opts: '{"attempts":1}',
      timestamp: now,
      delay: 0,
      priority: 0,
      ...ended,
    };
    pipeline.hset(queue.toKey(String(id)), job).zadd(queue.toKey('failed'), now, String(id));
  }
  await pipeline.exec();
}
