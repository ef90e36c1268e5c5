import { createQueueActivities } from '../../../src/activities/queues';
import { queuesSchema } from '../../../src/activities/queues/settings';
import { delaysHold, findingsOf, unknownOf } from '../../../src/workflows/queues/findings';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  until,
  type TestDatabase,
  type TestPostgres,
} from '../../support/postgres';
import { testQueues, type TestQueues } from '../../support/queues';
import { startRedis, type TestRedis } from '../../support/redis';

let pg: TestPostgres;
let redis: TestRedis;
let db: TestDatabase;
let queues: TestQueues;
let count = 0;
beforeAll(async () => {
  pg = await startTestPostgres();
  redis = await startRedis('pass-of-the-redis');
  process.env['QUEUES_TEST_REDIS'] = redis.url;
});
beforeEach(async () => {
  db ??= await pg.fresh();
  queues = testQueues(redis, `shop-${(count += 1)}`);
  configure();
});
afterEach(() => queues.stop());
afterAll(async () => {
  await redis?.stop();
  await pg?.stop();
});

const fence = { target: 'shop/production/queues', token: 1 };
const configure = (more: object = {}, names: object[] = [{ name: 'orders' }]) => {
  const { production } = db.deps.config.services['shop']!.environments as unknown as Record<
    string,
    { queues: unknown }
  >;
  production!.queues = queuesSchema.parse({
    redis: { url: '${env:QUEUES_TEST_REDIS}' },
    prefix: queues.prefix,
    names,
    ...more,
  });
};
let activities = 0;
const another = () => ({ activityId: String((activities += 1)) });
const acts = () => createQueueActivities(db.deps);
const look = async () => (await runActivity(acts().readQueues, db.place)).queues[0]!;
const change = { queue: 'orders', run: 'run-1', fence };
const pause = (run = 'run-1') => runActivity(acts().pauseQueue, { ...db.place, ...change, run }, another());
const resume = (onlyOwn: boolean, run = 'run-1') =>
  runActivity(acts().resumeQueue, { ...db.place, ...change, run, onlyOwn }, another());
async function retry(over: { perReason?: number; limit?: number; before?: number; run?: string } = {}) {
  const { failures, failedUntil, recent } = await look();
  const wanted = { after: recent.since, before: failedUntil!, perReason: 10_000, limit: 10_000, ...over };
  const reasons = failures.map(({ reason }) => reason);
  return runActivity(acts().retryFailedJobs, { ...db.place, ...change, ...wanted, reasons }, another());
}
const follow = (reasons: string[]) =>
  runActivity(acts().followRetriedJobs, { ...db.place, queue: 'orders', run: 'run-1', reasons });

it('says how a queue is, and changes nothing by looking', async () => {
  await queues.fail('orders', 3, 'connection to 10.0.0.7:5432 refused, token=abcdef123456');
  await queues.add('orders', 4);
  await queues.queue('orders').pause();
  const before = await redis.client.dbsize();
  const meta = await redis.client.hgetall(`${queues.prefix}:orders:meta`);
  const now = await look();
  expect(now).toMatchObject({
    waiting: 4,
    active: 0,
    failed: 3,
    paused: true,
    pausedBy: null,
    workers: 0,
    odd: 0,
  });
  expect(now.recent).toMatchObject({ failed: 3, completed: 0 });
  expect(now.flow).toMatchObject({ came: 7, completed: 0, failed: 3 });
  // Neither secrets nor what differs from job to job.
  expect(now.failures).toEqual([
    { reason: expect.stringMatching(/^connection to [#.:]+ refused, token=\*\*\*$/), count: 3 },
  ]);
  expect(findingsOf(now).map(({ cause }) => cause)).toEqual(['paused', 'no workers', 'failing']);
  expect([await redis.client.dbsize(), await redis.client.hgetall(`${queues.prefix}:orders:meta`)]).toEqual([
    before,
    meta,
  ]);
  expect(JSON.stringify(now)).not.toContain('pass-of-the-redis');
});

it('tells a queue that grows faster than it drains from one that is slow, and one with workers from one without', async () => {
  configure({ windowSeconds: 60 }, [{ name: 'orders', maxDelaySeconds: 0.001 }]);
  await queues.add('orders', 20);
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect((await look()).workers).toBe(0);
  let release = () => undefined as void;
  const held = new Promise<void>((resolve) => (release = resolve));
  queues.worker('orders', () => held, 1);
  await until(async () => (await look()).workers === 1);
  const growing = await look();
  expect(findingsOf(growing)).toEqual([
    expect.objectContaining({
      cause: 'growing',
      detail: expect.stringMatching(/^orders grows faster than it drains: 20 came and 0 ended/),
    }),
  ]);
  expect(delaysHold([growing])).toMatchObject({
    ok: false,
    detail: expect.stringContaining('grows faster than it drains'),
  });
  release();
  await until(async () => (await look()).waiting === 0);
  expect(findingsOf(await look())).toEqual([]);
});

it('a delayed job whose time has come waits too, where nobody moves it to the others', async () => {
  await queues.queue('orders').add('do', {}, { delay: 50 });
  await until(async () => ((await look()).delayMs ?? 0) > 100);
  expect(await look()).toMatchObject({ waiting: 0, delayed: 1 });
});

it('what nobody can tell is no yes: no events, and something that waits and is no job', async () => {
  await queues.add('orders', 1);
  await redis.client.del(`${queues.prefix}:orders:events`, `${queues.prefix}:orders:job-0`);
  const now = await look();
  expect([now.flow, now.delayMs]).toEqual([null, null]);
  expect(unknownOf(now)).toEqual([
    expect.stringMatching(/^how long jobs of orders wait is not known/),
    expect.stringMatching(/^whether orders grows is not known/),
  ]);
  expect(delaysHold([now]).ok).toBe(false);
});

it('retries each failed job once by its ID, and loses and doubles none', async () => {
  const ids = await queues.fail('orders', 1_200, 'boom');
  expect(await retry({ perReason: 5 })).toEqual({ retried: 5, left: 1_195, others: 0 });
  // An attempt whose answer was lost has done it.
  expect(await retry({ perReason: 5 })).toEqual({ retried: 5, left: 1_195, others: 0 });
  expect(await retry()).toEqual({ retried: 1_200, left: 0, others: 0 });
  expect(await queues.census('orders')).toEqual(ids.map((id) => `${id} wait`).sort());
  const worked: string[] = [];
  queues.worker('orders', async (job) => void worked.push(job.id!), 50);
  await until(async () => (await follow(['boom']))[0]!.pending === 0);
  expect(await follow(['boom'])).toEqual([
    { reason: 'boom', done: 1_200, pending: 0, failedAgain: 0, says: '' },
  ]);
  expect(worked.sort()).toEqual([...ids].sort());
});

it('does not retry twice what fails again, not even where a worker dates it back', async () => {
  const ids = await queues.fail('orders', 3, 'boom');
  const { failedUntil } = await look();
  await retry({ perReason: 2 });
  const failing = queues.worker('orders', () => Promise.reject(new Error('boom again')));
  await until(async () => (await look()).failed === 3);
  await failing.close();
  for (const id of ids) await redis.client.zadd(`${queues.prefix}:orders:failed`, failedUntil! - 1_000, id);
  for (const id of ids) await redis.client.hset(`${queues.prefix}:orders:${id}`, 'failedReason', 'boom');
  expect(await retry({ before: failedUntil! })).toMatchObject({ retried: 3 });
  expect((await queues.census('orders')).filter((one) => one.endsWith('wait'))).toHaveLength(1);
  expect(await follow(['boom'])).toEqual([
    expect.objectContaining({ pending: 1, failedAgain: 2, says: 'boom' }),
  ]);
});

it('leaves alone what failed after the plan, long ago, for another reason, and IDs with no job behind them', async () => {
  await queues.fail('orders', 2, 'boom');
  const { failedUntil } = await look();
  const key = (name: string) => `${queues.prefix}:orders:${name}`;
  const odd = ['no job', 'meta', 'a\n:b', `${'x'.repeat(5_000)}`, 'events'];
  for (const id of odd) await redis.client.zadd(key('failed'), failedUntil!, id);
  await redis.client.hset(key('a\n:b'), {
    name: 'do',
    opts: '{"attempts":1}',
    data: '{}',
    failedReason: 'boom',
  });
  expect(await look()).toMatchObject({ odd: 4 });
  await until(() => Date.now() > failedUntil!);
  const [late] = await queues.fail('orders', 1, 'boom', 'late');
  await redis.client.zadd(key('failed'), 1_000, 'failed-1');
  expect(await retry({ before: failedUntil! })).toEqual({ retried: 2, left: 0, others: 0 });
  expect((await queues.census('orders')).filter((one) => one.endsWith('wait'))).toEqual([
    'a\n:b wait',
    'failed-0 wait',
  ]);
  expect(await queues.census('orders')).toEqual(
    expect.arrayContaining([`${late} failed`, 'failed-1 failed', 'no job failed']),
  );
});

it('pauses once, says so when asked again, leaves alone what others pause, and resumes only its own', async () => {
  await queues.add('orders', 1);
  expect(await pause()).toMatchObject({ changed: true });
  expect(await pause()).toMatchObject({ changed: true });
  expect(await look()).toMatchObject({ paused: true, pausedBy: 'run-1' });
  expect(await pause('run-2')).toMatchObject({ changed: false });
  expect(await resume(true, 'run-2')).toMatchObject({ changed: false });
  expect((await look()).paused).toBe(true);
  expect(await resume(true)).toMatchObject({ changed: true });
  expect(await resume(true)).toMatchObject({ changed: false });
  await queues.queue('orders').pause();
  expect(await resume(true)).toMatchObject({ changed: false });
  expect((await look()).paused).toBe(true);
  expect(await resume(false)).toMatchObject({ changed: true });
  expect((await look()).paused).toBe(false);
});

it('refuses an older lease, a queue that is not there or not configured, and a BullMQ that it does not know', async () => {
  await queues.add('orders', 1);
  await runActivity(
    acts().pauseQueue,
    { ...db.place, ...change, fence: { target: 'of-leases', token: 5 } },
    another(),
  );
  expect(
    await failureOf(
      runActivity(
        acts().resumeQueue,
        {
          ...db.place,
          ...change,
          onlyOwn: false,
          fence: { target: 'of-leases', token: 4 },
        },
        another(),
      ),
    ),
  ).toMatchObject({ type: 'StaleFencingToken' });
  expect((await look()).paused).toBe(true);
  expect(
    await failureOf(runActivity(acts().pauseQueue, { ...db.place, ...change, queue: 'other' }, another())),
  ).toMatchObject({ type: 'InvalidInput' });
  await redis.client.hset(`${queues.prefix}:orders:meta`, 'version', 'bullmq:9.1.0');
  expect(await failureOf(look())).toMatchObject({ type: 'QueueVersionUnknown' });
  configure({}, [{ name: 'gone' }]);
  expect(await failureOf(look())).toMatchObject({ type: 'QueueUnknown', nonRetryable: true });
});

it('is tried again while Redis is away, goes on where it was, and notices what a Redis without its data has lost', async () => {
  const ids = await queues.fail('orders', 40, 'boom');
  const seen = await look();
  const { reason } = seen.failures[0]!;
  await retry({ perReason: 10 });
  await queues.stop();
  await redis.kill();
  expect(await failureOf(look())).toMatchObject({ type: 'RedisUnreachable', nonRetryable: false });
  await redis.start();
  expect(await retry()).toEqual({ retried: 40, left: 0, others: 0 });
  expect(await queues.census('orders')).toEqual(ids.map((id) => `${id} wait`).sort());
  expect(reason).toBe('boom');
  const again = () => runActivity(acts().readQueues, { ...db.place, seen: [seen] });
  await again();
  await redis.kill();
  await redis.start({ empty: true });
  expect(await failureOf(again())).toMatchObject({ type: 'QueueDataLost', nonRetryable: true });
  process.env['QUEUES_TEST_REDIS'] = redis.url.replace('pass-of-the-redis', 'another-password');
  const refused = await failureOf(look());
  process.env['QUEUES_TEST_REDIS'] = redis.url;
  expect(refused.type).toBe('AuthenticationFailed');
  expect(refused.message).not.toContain('another-password');
});
