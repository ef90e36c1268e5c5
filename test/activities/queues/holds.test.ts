import { createQueueActivities } from '../../../src/activities/queues';
import { queuesSchema } from '../../../src/activities/queues/settings';
import type { ActivityDeps } from '../../../src/activities/support/deps';
import { runActivity } from '../../support/postgres';
import { testQueues } from '../../support/queues';
import { startRedis } from '../../support/redis';
import { duringTests } from '../../support/stand-in';

const redis = duringTests(() => startRedis('pass-of-the-holds'));
const queues = duringTests(async () => testQueues(redis, 'shop'));
beforeAll(() => void (process.env['HOLDS_TEST_REDIS'] = redis.url));

const place = { service: 'shop', environment: 'production' };
const now = new Date().toISOString();
const request = (booking: string, key: string | null = null, createdAt = now) => ({
  booking,
  createdAt,
  key,
});

function look(settings: object | undefined, requests: ReturnType<typeof request>[] = []) {
  const given = { redis: { url: '${env:HOLDS_TEST_REDIS}' }, prefix: 'shop', names: [{ name: 'expiry' }] };
  const production = settings === undefined ? {} : { queues: queuesSchema.parse({ ...given, ...settings }) };
  const services = { shop: { environments: { production } } };
  const deps = { config: { services, directory: '/nowhere' } } as unknown as ActivityDeps;
  return runActivity(createQueueActivities(deps).readHoldQueue, { ...place, requests });
}

it('says how the queue is, why its jobs failed, and which keys are missing; a secret of theirs it does not say', async () => {
  await queues.fail('expiry', 2, 'cannot reach db with password=abcdefgh1234');
  await queues.queue('expiry').pause();
  await queues.add('expiry', 1);
  await redis.client.set('app:idem:k-1:b-1', '');
  const key = 'app:idem:{key}:{booking}';
  const long = new Date(Date.now() - 25 * 3_600_000).toISOString();
  const requests = [
    request('b-1', 'k-1'),
    request('b-2', 'k-2'),
    request('b-3'),
    request('b-4', 'k-4', long),
  ];
  const found = await look({ holds: { queue: 'expiry', idempotency: { key } } }, requests);
  expect(found).toEqual({
    found: 'read',
    queue: {
      ...{ name: 'expiry', paused: true, workers: 0, waiting: 1, failed: 2 },
      failures: [{ reason: 'cannot reach db with password=***', count: 2 }],
    },
    hours: 24,
    keys: { looked: 2, missing: ['b-2'], passedOver: 2 },
  });
});

it('says what is not configured, and what cannot be read, instead of that all is well', async () => {
  expect(await look(undefined)).toEqual({ found: 'unconfigured' });
  expect(await look({})).toEqual({ found: 'unconfigured' });
  await queues.add('expiry', 1);
  expect(await look({ holds: { queue: 'expiry' } }, [request('b-1')])).toMatchObject({ keys: null });
  const holds = { queue: 'unknown' };
  expect(await look({ names: [{ name: 'unknown' }], holds })).toEqual({
    found: 'unread',
    why: expect.stringContaining('There is no queue unknown of shop/production'),
  });
  const away = { url: 'redis://:wrong-password@127.0.0.1:1', timeoutMs: 500 };
  expect(await look({ redis: away, holds: { queue: 'expiry' } })).toEqual({
    found: 'unread',
    why: expect.stringMatching(/^Redis of shop\/production cannot be reached: (?!.*wrong-password)/),
  });
  expect(await look({ redis: { url: '${env:NOT_SET_HERE}' }, holds: { queue: 'expiry' } })).toEqual({
    found: 'unread',
    why: expect.stringContaining('${env:NOT_SET_HERE} cannot be resolved'),
  });
});
