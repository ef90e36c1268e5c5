import { BULLMQ_MAJOR_VERSION, Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { resolveSecrets } from '../../config/secrets';
import { targetOf, type Place } from '../../contract/place';
import { currentActivity } from '../support/heartbeat';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { queueOf, queuesOf, type QueueConfig, type QueuesConfig } from './settings';

/** One queue, and the connection that it is read and changed through. */
export interface OpenQueue {
  redis: Redis;
  queue: Queue;
  config: QueueConfig;
  settings: QueuesConfig;
  /** As people know it, e.g. `emails of booking/production`. */
  title: string;
}

const DOWN =
  /ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|timed out|Connection is closed|Stream isn't writeable|max retries per request|^LOADING|^MASTERDOWN|^BUSY |^TRYAGAIN|^CLUSTERDOWN/i;
const REFUSED = /^NOAUTH|^WRONGPASS|^NOPERM|invalid (username-)?password/i;

/**
 * Runs `body` on a connection of its own, which ends with it. It does not connect again: what was in between is for the
 * next attempt of the activity to find out. Throws RedisUnreachable (tried again), AuthenticationFailed, RedisRefused.
 */
export async function withRedis<T>(
  deps: ActivityDeps,
  place: Place,
  body: (redis: Redis, settings: QueuesConfig) => Promise<T>,
): Promise<T> {
  const settings = queuesOf(deps, place);
  const { timeoutMs } = settings.redis;
  const redis = new Redis(resolveSecrets(settings.redis.url, deps.config.directory), {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
    connectionName: 'durable-runbooks',
  });
  let last: Error | undefined;
  redis.on('error', (error: Error) => (last = error));
  const stop = () => redis.disconnect();
  const { signal } = currentActivity();
  signal.addEventListener('abort', stop);
  try {
    await redis.connect();
    return await body(redis, settings);
  } catch (error) {
    throw redisFailure(error, last, place);
  } finally {
    signal.removeEventListener('abort', stop);
    redis.disconnect();
  }
}

function redisFailure(error: unknown, last: Error | undefined, place: Place): unknown {
  if (!(error instanceof Error) || 'nonRetryable' in error || error.name === 'CancelledFailure') return error;
  const code = (one: NodeJS.ErrnoException | undefined) => one?.code ?? '';
  const said = `${error.message} ${last?.message ?? ''}`;
  const where = `Redis of ${targetOf(place)}`;
  if (REFUSED.test(error.message) || REFUSED.test(last?.message ?? ''))
    return fail(
      'AuthenticationFailed',
      `${where} does not let the runbooks in: ${error.message}. Correct user and password in queues.redis.url, or what its user may do.`,
    );
  if (DOWN.test(error.message) || DOWN.test(`${code(error)} ${code(last)} ${said}`))
    return fail(
      'RedisUnreachable',
      `${where} cannot be reached: ${last?.message || error.message || code(error)}. Check that it is up and that the worker may reach it; this is tried again.`,
      { retryable: true },
    );
  return fail(
    'RedisRefused',
    `${where} refused what was asked of it: ${error.message}. Correct the cause, then start again.`,
  );
}

/** Reading a queue must not write into it: that is what `skipMetasUpdate` is for. */
export function openQueue(redis: Redis, settings: QueuesConfig, name: string, place: Place): OpenQueue {
  const config = queueOf(settings, name);
  const queue = new Queue(name, { connection: redis, prefix: settings.prefix, skipMetasUpdate: true });
  // The connection says it too.
  queue.on('error', () => undefined);
  return { redis, queue, config, settings, title: `${name} of ${targetOf(place)}` };
}

const OLDEST_MAJOR = 5;

/** Throws QueueUnknown for one that is not there, QueueVersionUnknown for a BullMQ whose keys are not known here. */
export async function requireKnown({ redis, queue, title, settings }: OpenQueue): Promise<string | null> {
  const [meta, id, events] = [queue.toKey('meta'), queue.toKey('id'), queue.toKey('events')];
  if ((await redis.exists(meta, id, events)) === 0)
    throw fail(
      'QueueUnknown',
      `There is no queue ${title} under the prefix "${settings.prefix}": nothing of it is in Redis. It was never used, or Redis has lost its data, or name, prefix or database are wrong in the configuration. Find out which, then start again.`,
    );
  const version = await queue.getVersion();
  const major = /^bullmq[^:]*:(\d+)\./.exec(version ?? '')?.[1];
  if (major !== undefined && (Number(major) < OLDEST_MAJOR || Number(major) > Number(BULLMQ_MAJOR_VERSION)))
    throw fail(
      'QueueVersionUnknown',
      `The queue ${title} is kept by BullMQ ${version ?? ''}, whose keys this version does not know. Nothing was changed.`,
    );
  return version;
}
