import { ApplicationFailure } from '@temporalio/common';
import type { Redis } from 'ioredis';
import { environmentOf } from '../../config/load';
import { fillPlaceholders } from '../../config/placeholders';
import { MissingSecret } from '../../config/secrets';
import type { HoldRequest } from '../../contract/bookings';
import type { Place } from '../../contract/place';
import type { ActivityDeps } from '../support/deps';
import { currentActivity, withProgress } from '../support/heartbeat';
import { readQueue, type QueueStatus } from './look';
import { openQueue, withRedis } from './redis';
import type { Environment, QueuesConfig } from './settings';

/** The queue whose job releases holds, and the idempotency keys of the requests that made some of them. */
export type HoldQueue =
  | { found: 'unconfigured' }
  | { found: 'unread'; why: string }
  | { found: 'read'; queue: HoldQueueStatus; hours: number; keys: HoldKeys | null };

export type HoldQueueStatus = Pick<QueueStatus, 'name' | 'paused' | 'workers' | 'waiting' | 'failures'> & {
  /** Within `hours`. */
  failed: number;
};

/** Null instead of this: nobody has configured where they are. */
export interface HoldKeys {
  /** How many were looked for. */
  looked: number;
  /** Bookings whose key is not in Redis. */
  missing: string[];
  /** Not looked for: older than keys are kept, or without one in their row. */
  passedOver: number;
}

export function createHoldQueueActivities(deps: ActivityDeps) {
  return {
    /**
     * Looks at the queue of `queues.holds`, and for the keys of these requests. What cannot be read is said and nothing
     * else: holds are released without it. Reads only, so a retry is safe.
     */
    async readHoldQueue({ requests, ...place }: Place & { requests: HoldRequest[] }): Promise<HoldQueue> {
      const environment = environmentOf(deps.config, place.service, place.environment) as Environment;
      const holds = environment.queues?.holds;
      if (holds === undefined) return { found: 'unconfigured' };
      const progress = { phase: 'read the queue of holds', done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, () =>
        withRedis(deps, place, async (redis, settings) => {
          const { name, paused, workers, waiting, failures, recent } = await readQueue(
            openQueue(redis, settings, holds.queue, place),
          );
          return {
            found: 'read' as const,
            queue: { name, paused, workers, waiting, failures, failed: recent.failed },
            hours: settings.retryHours,
            keys: await readKeys(redis, holds, requests),
          };
        }).catch(unread),
      );
    },
  };
}

function unread(error: unknown): HoldQueue {
  // Who is told to stop says nothing of Redis.
  if (currentActivity().signal.aborted) throw error;
  if (!(error instanceof ApplicationFailure) && !(error instanceof MissingSecret)) throw error;
  return { found: 'unread', why: error.message };
}

async function readKeys(
  redis: Redis,
  { idempotency }: NonNullable<QueuesConfig['holds']>,
  requests: HoldRequest[],
): Promise<HoldKeys | null> {
  if (idempotency === undefined) return null;
  const since = Date.now() - idempotency.keptHours * 3_600_000;
  const looked = requests.flatMap((request) => {
    const name = nameOf(idempotency.key, request);
    return name === undefined || Date.parse(request.createdAt) < since ? [] : [{ ...request, name }];
  });
  const missing: string[] = [];
  for (const { name, booking } of looked) if ((await redis.exists(name)) === 0) missing.push(booking);
  return { looked: looked.length, missing, passedOver: requests.length - looked.length };
}

/** Undefined where the row has no key, and the name needs one. */
function nameOf(pattern: string, { booking, key }: HoldRequest): string | undefined {
  let isWhole = true;
  const name = fillPlaceholders(pattern, String, (wanted) => {
    if (wanted === 'booking') return booking;
    isWhole &&= wanted === 'key' && key !== null;
    return key ?? '';
  });
  return isWhole ? name : undefined;
}
