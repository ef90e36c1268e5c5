/** The rate limit, and idempotency keys: both in Redis, so that all instances of the application share them. */
import type { Redis } from 'ioredis';

const WINDOW_SECONDS = 10;
const KEPT_SECONDS = 86_400;
const PREFIX = 'travel';

/** Counts the request of an address. Returns whether it may pass. */
export type Limiter = ReturnType<typeof createLimiter>;

export function createLimiter(redis: Redis, limit: () => number) {
  const exemption = (who: string): string => `${PREFIX}:exempt:${who}`;
  const windowOf = (secondsAgo = 0): number => Math.floor((Date.now() / 1_000 - secondsAgo) / WINDOW_SECONDS);
  const refusals = (window: number): string => `${PREFIX}:refused:${window}`;

  return {
    async admits(who: string): Promise<boolean> {
      const window = windowOf();
      const key = `${PREFIX}:limit:${who}:${window}`;
      const [count, exempt] = await Promise.all([redis.incr(key), redis.exists(exemption(who))]);
      if (count === 1) await redis.expire(key, 2 * WINDOW_SECONDS);
      if (exempt === 1 || count <= limit()) return true;
      await redis
        .multi()
        .zincrby(refusals(window), 1, who)
        .expire(refusals(window), 3 * WINDOW_SECONDS)
        .exec();
      return false;
    },
    /** Redis itself ends it at that time, where nobody else does. */
    exempt: (who: string, until: string) =>
      redis.set(exemption(who), until, 'PXAT', new Date(until).getTime()),
    usual: (who: string) => redis.del(exemption(who)),
    /** Whom it refused in this window and the one before. */
    async refused(): Promise<{ who: string; refused: number }[]> {
      const sums = new Map<string, number>();
      for (const window of [windowOf(), windowOf(WINDOW_SECONDS)]) {
        const pairs = await redis.zrevrange(refusals(window), 0, 99, 'WITHSCORES');
        for (let at = 0; at < pairs.length; at += 2)
          sums.set(pairs[at]!, (sums.get(pairs[at]!) ?? 0) + Number(pairs[at + 1]));
      }
      return [...sums]
        .map(([who, refused]) => ({ who, refused }))
        .sort((one, other) => other.refused - one.refused);
    },
    /** Keys that the limiter has in Redis. */
    async keys(): Promise<number> {
      let [cursor, count] = ['0', 0];
      do {
        const [next, found] = await redis.scan(cursor, 'MATCH', `${PREFIX}:limit:*`, 'COUNT', 1_000);
        [cursor, count] = [next, count + found.length];
      } while (cursor !== '0');
      return count;
    },
  };
}

/** The same answer to the same key of a user; the work is done once. */
export async function once<T extends object>(
  redis: Redis,
  key: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const name = `${PREFIX}:idempotency:${key}`;
  const mine = await redis.set(name, '', 'EX', KEPT_SECONDS, 'NX');
  if (mine === null) {
    const answer = await redis.get(name);
    // Another request with this key is at work right now.
    return answer ? (JSON.parse(answer) as T) : undefined;
  }
  try {
    const done = await work();
    await redis.set(name, JSON.stringify(done), 'EX', KEPT_SECONDS);
    return done;
  } catch (error) {
    await redis.del(name);
    throw error;
  }
}
