import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createQueueActivities } from '../../../src/activities/queues';
import { aiWorkersSchema } from '../../../src/activities/queues/ai/schema';
import { queuesSchema } from '../../../src/activities/queues/settings';
import { failureOf, runActivity, startTestPostgres, until, type TestDatabase } from '../../support/postgres';
import { testQueues, type TestQueues } from '../../support/queues';
import { startRedis, type TestRedis } from '../../support/redis';
import { duringTests } from '../../support/stand-in';

/** Which tasks are put back, what is counted afterwards, and under which lease. */
const postgres = duringTests(() => startTestPostgres());
const redis: TestRedis = duringTests(() => startRedis('pass-of-the-redis'));
let db: TestDatabase;
let queues: TestQueues;
let count = 0;
beforeEach(async () => {
  db ??= await postgres.fresh();
  process.env['AI_BACK_REDIS'] = redis.url;
  queues = testQueues(redis, `back-${(count += 1)}`);
  const touched = { command: { run: ['touch', join(db.directory, 'switched')] } };
  Object.assign(db.deps.config.services['shop']!.environments['production']!, {
    queues: queuesSchema.parse({
      redis: { url: '${env:AI_BACK_REDIS}' },
      prefix: queues.prefix,
      names: [{ name: 'texts' }],
      retryHours: 1,
    }),
    aiWorkers: aiWorkersSchema.parse({
      queue: 'texts',
      providers: [{ name: 'one' }, { name: 'two' }],
      current: { command: { run: ['echo', 'two'] } },
      switch: { change: touched },
    }),
  });
});
afterEach(() => queues.stop());

let activities = 0;
const another = () => ({ activityId: String((activities += 1)) });
const acts = () => createQueueActivities(db.deps);
const fence = (token = 1, target = 'shop/production/queues') => ({ target, token });
const putBack = (run: string, { limit = 100, lease = fence() } = {}) =>
  runActivity(
    acts().putAiTasksBack,
    { ...db.place, queue: 'texts', run, limit, begunUntil: Date.now(), fence: lease },
    another(),
  );
const look = (begunAfter?: number) =>
  runActivity(acts().readAiWorkers, { ...db.place, ...(begunAfter === undefined ? {} : { begunAfter }) });
const failed = () => queues.queue('texts').getFailedCount();
/** A moment that is over by any clock. */
const now = async () => {
  const at = Date.now();
  await until(() => Date.now() > at);
  return at;
};

it('puts nothing back under an older lease', async () => {
  await queues.fail('texts', 2, '503 unavailable');
  const lease = (token: number) => ({ lease: fence(token, 'of-tasks') });
  expect(await putBack('run-1', { limit: 1, ...lease(7) })).toMatchObject({ count: 1, left: 1 });
  expect(await failureOf(putBack('run-2', lease(6)))).toMatchObject({ type: 'StaleFencingToken' });
  expect(await failed()).toBe(1);
});

it('switches nothing where it is switched already, as a retry finds it', async () => {
  const switched = join(db.directory, 'switched');
  rmSync(switched, { force: true });
  const input = { ...db.place, from: 'one', to: 'two', fence: fence(1, 'of-switches-back') };
  const { detail } = await runActivity(acts().switchAiProvider, input, another());
  expect([detail, existsSync(switched)]).toEqual(['shop/production generates with two', false]);
});

it('counts after a remedy what was begun after it, and nothing else', async () => {
  await queues.fail('texts', 2, '429 Rate limit, try again in 40s', 'before');
  const at = await now();
  await queues.fail('texts', 1, '503 unavailable', 'after');
  const lately = ({ failures }: Awaited<ReturnType<typeof look>>) =>
    Object.fromEntries(failures.map((one) => [one.kind, one.lately]));
  const [all, since] = [await look(), await look(at)];
  expect([lately(all), all.retryAfterMs]).toEqual([{ outage: 1, rateLimit: 2 }, 40_000]);
  expect([lately(since), since.retryAfterMs]).toEqual([{ outage: 1, rateLimit: 0 }, 0]);
});

it('says what ended well after the newest failure of the provider, whatever fails otherwise', async () => {
  await queues.fail('texts', 1, '503 unavailable', 'down');
  await now();
  queues.worker('texts', ({ id }) =>
    id === 'long-0' ? Promise.reject(new Error('400 prompt is too long')) : Promise.resolve(),
  );
  await queues.add('texts', 2, { prefix: 'well' });
  await until(async () => (await queues.queue('texts').getCompletedCount()) === 2);
  await queues.add('texts', 1, { prefix: 'long' });
  await until(async () => (await failed()) === 2);
  expect(await look()).toMatchObject({ completed: 2, completedAfter: 2 });
  await now();
  await queues.stop();
  queues = testQueues(redis, queues.prefix);
  await queues.fail('texts', 1, '503 unavailable', 'again');
  expect(await look()).toMatchObject({ completed: 2, completedAfter: 0 });
});

it('tells tasks that are worked on since before, which may fail yet, from those that were begun later', async () => {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  queues.worker('texts', () => released);
  await queues.add('texts', 2);
  await until(async () => (await queues.queue('texts').getActiveCount()) === 2);
  const at = await now();
  await queues.add('texts', 1, { prefix: 'later' });
  await until(async () => (await queues.queue('texts').getActiveCount()) === 3);
  const follow = () =>
    runActivity(acts().followAiTasks, { ...db.place, queue: 'texts', run: 'run-1', begunUntil: at });
  expect(await follow()).toMatchObject({ older: 2, pending: 0 });
  release();
  await until(async () => (await follow()).older === 0);
});

it('counts a task as not over while it waits or is about to be put back, and as done once it is gone', async () => {
  const [first, second] = await queues.fail('texts', 2, '503 unavailable');
  const key = `durable-runbooks:${queues.prefix}:texts:put-back`;
  await putBack('run-1');
  const score = await redis.client.hget(key, first!);
  const follow = () =>
    runActivity(acts().followAiTasks, { ...db.place, queue: 'texts', run: 'run-1', begunUntil: 0 });
  expect(await follow()).toMatchObject({ done: 0, pending: 2, failed: [] });
  await queues.queue('texts').remove(second!);
  expect(await follow()).toMatchObject({ done: 1, pending: 1 });
  // As noted, and not yet put back.
  await redis.client.lrem(`${queues.prefix}:texts:wait`, 0, first!);
  await redis.client.zadd(`${queues.prefix}:texts:failed`, score!.split(' ')[0]!, first!);
  expect(await follow()).toMatchObject({ done: 1, pending: 1, failed: [] });
});

it('forgets what was put back so long ago that it cannot be put back again', async () => {
  await queues.fail('texts', 1, '503 unavailable');
  const key = `durable-runbooks:${queues.prefix}:texts:put-back`;
  await redis.client.hset(key, 'gone', `${Date.now() - 60 * 86_400_000} run-0`);
  await putBack('run-1');
  expect(await redis.client.hkeys(key)).toEqual(['failed-0']);
});
