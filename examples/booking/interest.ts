import type { Pool } from 'pg';
import { keepRecent } from '../shared/recent';
import type { Running } from './running';

export interface CacheStats {
  /** Share of the reads that the cache answered; null where nobody read. */
  hitRate: number | null;
  reads: number;
  ttlSeconds: number;
  windowSeconds: number;
}

/**
 * How many customers are about to book, which every search shows. A cache keeps it, because the statement may take its
 * time, as it does where a table has grown and nobody has added an index.
 */
export function createInterest(
  windowSeconds: number,
  { switches }: { switches: () => Running['switches'] },
): { read: (pool: Pool) => Promise<number>; stats: () => CacheStats; queryTimes: () => number[] } {
  const hits = keepRecent<boolean>(windowSeconds);
  const times = keepRecent<number>(windowSeconds);
  let kept: { at: number; value: number } | undefined;
  const query = async (pool: Pool): Promise<number> => {
    const startedAt = performance.now();
    try {
      const { rows } = await pool.query<{ count: number }>(
        `SELECT count(*)::int AS count, pg_sleep($1)::text FROM bookings WHERE status = 'held'`,
        [switches().interestSeconds],
      );
      return rows[0]!.count;
    } finally {
      times.add((performance.now() - startedAt) / 1_000);
    }
  };
  return {
    read: async (pool) => {
      // As it is switched now: a longer time holds at once.
      const ttlMs = switches().cacheTtlSeconds * 1_000;
      const isHit = kept !== undefined && Date.now() - kept.at < ttlMs;
      hits.add(isHit);
      if (!isHit) kept = { value: await query(pool), at: Date.now() };
      return kept!.value;
    },
    stats: () => {
      const all = hits.read();
      return {
        hitRate: all.length === 0 ? null : all.filter((hit) => hit).length / all.length,
        reads: all.length,
        ttlSeconds: switches().cacheTtlSeconds,
        windowSeconds,
      };
    },
    queryTimes: times.read,
  };
}
