import type { Redis } from 'ioredis';
import type { Queue } from 'bullmq';

/** From each end of what waits: jobs are taken at one, but may have been put at either. */
const ENDS = 25;
/** BullMQ keeps the time of a delayed job in the upper bits of its score. */
const DELAY_UNIT = 4_096;

/**
 * For how long the oldest job waits that could have been worked on, as far as both ends of what waits tell: null where
 * none waits, undefined where nobody can tell. One that is tried again by itself counts from its last attempt; one that
 * somebody retried from when it came first, because nothing says when that was.
 */
export async function readOldestWait(redis: Redis, queue: Queue): Promise<number | null | undefined> {
  const lists = await Promise.all(
    ['wait', 'paused'].flatMap((state) => [
      redis.lrange(queue.toKey(state), 0, ENDS - 1),
      redis.lrange(queue.toKey(state), -ENDS, -1),
    ]),
  );
  const ranked = await Promise.all([
    redis.zrange(queue.toKey('prioritized'), 0, ENDS - 1),
    redis.zrange(queue.toKey('prioritized'), -ENDS, -1),
  ]);
  const ids = [...new Set([...lists, ...ranked].flat())].filter((id) => !id.startsWith('0:'));
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hmget(queue.toKey(id), 'timestamp', 'processedOn', 'opts');
  const rows = (await pipeline.exec()) ?? [];
  const now = Date.now();
  const waits = rows.flatMap(([error, row]) => {
    const [timestamp, processedOn, opts] = error === null ? (row as (string | null)[]) : [];
    const since = Number(processedOn ?? Number(timestamp ?? NaN) + delayOf(opts));
    return Number.isFinite(since) ? [Math.max(0, now - since)] : [];
  });
  const overdue = await overdueMs(redis, queue, now);
  if (overdue !== null) waits.push(overdue);
  if (waits.length > 0) return Math.max(...waits);
  return ids.length > 0 ? undefined : null;
}

/** A delayed job whose time has come waits as well: only workers move it to the others. */
async function overdueMs(redis: Redis, queue: Queue, now: number): Promise<number | null> {
  const [, score] = await redis.zrange(queue.toKey('delayed'), 0, 0, 'WITHSCORES');
  if (score === undefined) return null;
  const due = Number(score) / DELAY_UNIT;
  return now > due ? now - due : null;
}

/** Its own field is emptied when its time has come. */
function delayOf(opts: string | null | undefined): number {
  const delay = Number(/"delay":(\d{1,16})/.exec(opts ?? '')?.[1] ?? 0);
  return Number.isFinite(delay) ? delay : 0;
}
