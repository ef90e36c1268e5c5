import { Redis } from 'ioredis';
import { createQueueActivities } from '../../../src/activities/queues';
import { queuesSchema } from '../../../src/activities/queues/settings';
import { failureOf, runActivity, startTestPostgres, type TestDatabase } from '../../support/postgres';
import { testQueues, type TestQueues } from '../../support/queues';
import { startRedis, type TestRedis } from '../../support/redis';
import { duringTests } from '../../support/stand-in';

const postgres = duringTests(() => startTestPostgres());
const redis: TestRedis = duringTests(() => startRedis('pass-of-the-redis'));
let db: TestDatabase;
let queues: TestQueues;
let count = 0;
beforeEach(async () => {
  db ??= await postgres.fresh();
  process.env['QUEUES_TEST_REDIS'] = redis.url;
  queues = testQueues(redis, `shop-${(count += 1)}`);
  const queuesSection = queuesSchema.parse({
    redis: { url: '${env:QUEUES_TEST_REDIS}' },
    prefix: queues.prefix,
    names: [{ name: 'orders' }],
  });
  Object.assign(db.deps.config.services['shop']!.environments['production']!, { queues: queuesSection });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await queues.stop();
});

const acts = () => createQueueActivities(db.deps);
const look = async () => (await runActivity(acts().readQueues, db.place)).queues[0]!;
const fence = { target: 'shop/production/queues', token: 1 };
async function retry(reasons: string[], perReason = 10_000) {
  const { failedUntil, recent } = await look();
  const selection = { reasons, after: recent.since, before: failedUntil!, perReason, limit: 10_000 };
  const change = { queue: 'orders', run: 'run-1', fence };
  return runActivity(acts().retryFailedJobs, { ...db.place, ...change, ...selection });
}

it('counts what failed for a reason that is not retried', async () => {
  await queues.fail('orders', 3, 'boom', 'boom');
  await queues.fail('orders', 4, 'bang', 'bang');
  expect(await retry(['boom', 'bang'], 1)).toEqual({ retried: 2, left: 5, others: 0 });
  expect(await retry(['boom'])).toEqual({ retried: 4, left: 0, others: 3 });
});

it('misses none where somebody else takes jobs out meanwhile', async () => {
  await queues.fail('orders', 1_000, 'boom');
  const real = Redis.prototype.eval;
  let taken = 0;
  jest.spyOn(Redis.prototype, 'eval').mockImplementation(async function (this: Redis, ...args: unknown[]) {
    // Between the look at a page and its retry.
    if (taken === 0) for (; taken < 200; taken += 1) await queues.queue('orders').remove(`failed-${taken}`);
    return (real as (...args: unknown[]) => Promise<unknown>).apply(this, args);
  });
  expect(await retry(['boom'])).toEqual({ retried: 800, left: 0, others: 0 });
  const census = await queues.census('orders');
  expect([census.length, census.filter((one) => one.endsWith(' wait')).length]).toEqual([800, 800]);
});

it('retries none that failed anew between the look and the retry, and notes none that it did not retry', async () => {
  await queues.fail('orders', 3, 'boom');
  const real = Redis.prototype.eval;
  const failed = `${queues.prefix}:orders:failed`;
  jest.spyOn(Redis.prototype, 'eval').mockImplementation(async function (this: Redis, ...args: unknown[]) {
    await redis.client.zadd(failed, Date.now() + 60_000, 'failed-1');
    return (real as (...args: unknown[]) => Promise<unknown>).apply(this, args);
  });
  expect(await retry(['boom'])).toEqual({ retried: 2, left: 0, others: 0 });
  expect(await queues.census('orders')).toEqual(['failed-0 wait', 'failed-1 failed', 'failed-2 wait']);
  const notes = await redis.client.hkeys(`durable-runbooks:${queues.prefix}:orders:retried:run-1`);
  expect(notes.sort()).toEqual(['failed-0', 'failed-2']);
});

it('keeps the notes of what an attempt has retried whose answer was lost, also where that came late', async () => {
  await queues.fail('orders', 3, 'boom');
  const real = Redis.prototype.eval as unknown as (...args: unknown[]) => Promise<unknown>;
  jest.spyOn(Redis.prototype, 'eval').mockImplementation(async function (this: Redis, ...args: unknown[]) {
    await real.apply(this, args);
    return real.apply(this, args);
  });
  expect(await retry(['boom'])).toEqual({ retried: 3, left: 0, others: 0 });
  expect(await redis.client.hlen(`durable-runbooks:${queues.prefix}:orders:retried:run-1`)).toBe(3);
});

it('retries a job that goes first and one with a priority as BullMQ does', async () => {
  const queue = queues.queue('orders');
  await queue.add('do', {}, { jobId: 'usual' });
  await queue.add('do', {}, { jobId: 'first', lifo: true });
  await queue.add('do', {}, { jobId: 'urgent', priority: 3 });
  await queues.fail('orders', 0, 'boom');
  expect(await retry(['boom'])).toMatchObject({ retried: 3 });
  expect(await queues.census('orders')).toEqual(['first wait', 'urgent prioritized', 'usual wait']);
  expect((await queue.getWaiting()).map(({ id }) => id)).toEqual(['first', 'usual']);
});

it('notices what Redis has lost also where new jobs come into it at once', async () => {
  await queues.fail('orders', 5, 'boom');
  const seen = await look();
  const again = () => runActivity(acts().readQueues, { ...db.place, seen: [seen] });
  await queues.add('orders', 1);
  await again();
  await redis.client.flushall();
  await queues.add('orders', 3, { prefix: 'new' });
  expect(await failureOf(again())).toMatchObject({ type: 'QueueDataLost', nonRetryable: true });
});
