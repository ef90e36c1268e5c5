import type { Pool } from 'pg';
import { findSlots, QUOTE, type Slot } from './store';

/** What differs from one release of the application to the next. */
export interface Release {
  findSlots: (pool: Pool, partySize: number, limit: number) => Promise<Slot[]>;
}

/** The best first. Written against a database that has ratings; nobody applied that migration here. */
async function findBestSlots(pool: Pool, partySize: number, limit: number): Promise<Slot[]> {
  const { rows } = await pool.query<Slot>(
    `${QUOTE} WHERE capacity >= $1 ORDER BY rating DESC, starts_at LIMIT $2`,
    [partySize, limit],
  );
  return rows;
}

/** The code of every release by its version. 1.5.0 is the bad one: all that it searches fails. */
export const RELEASES: Record<string, Release> = {
  '1.4.0': { findSlots },
  '1.4.1': { findSlots },
  '1.4.2': { findSlots },
  '1.5.0': { findSlots: findBestSlots },
};

/** What runs where nobody deploys anything. */
export const NEWEST_GOOD = '1.4.1';

/** The code of a version. A version that was never built serves nothing but errors, as it would anywhere. */
export function releaseOf(version: string): Release {
  const missing = (): never => {
    throw new Error(`release ${version} was never built`);
  };
  return RELEASES[version] ?? { findSlots: missing };
}
