/** Packages, and what becomes of one: quote, hold, confirm. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { PoolClient } from 'pg';
import { Refusal, type Store } from './store';
import type { Switches } from './switches';

const QUOTE_SECONDS = 600;
const HOLD_MINUTES = 15;

/** Lists the season of packages, in a column that only the migration `2026_11_01_add_package_season` adds. */
export const BAD_RELEASE = '3.1.0';

interface Quote {
  packageId: string;
  unitId: string;
  units: number;
  priceCents: number;
  currency: string;
}

export interface Booking {
  id: string;
  status: string;
  unitId: string;
  lockId: string;
  packageId: string;
  units: number;
  priceCents: number;
  expiresAt: string | null;
}

const BOOKING = `SELECT bookings.id, bookings.status, "unitId", "lockId", "packageId", units, "priceCents", "expiresAt"
  FROM bookings JOIN inventory_units ON inventory_units.id = "unitId"`;

export type Bookings = ReturnType<typeof createBookings>;

export function createBookings(
  store: Store,
  redis: Redis,
  running: { switches: () => Switches; version: () => string },
) {
  const { switches, version } = running;

  /** The row of a departure, locked against everybody else who sells it. */
  async function departure(client: PoolClient, unitId: string): Promise<{ capacity: number; sold: number }> {
    const locks = switches().inventoryLocks === 'on';
    const { rows } = await client.query<{ capacity: number; sold: number }>(
      `SELECT capacity, sold FROM inventory_units WHERE id = $1 ${locks ? 'FOR UPDATE' : ''}`,
      [unitId],
    );
    if (rows[0] === undefined) throw new Refusal(404, 'there is no such departure');
    return rows[0];
  }

  /** Time in which everybody else reads what is about to change, as a release without locks has it under load. */
  async function beLate(): Promise<void> {
    if (switches().inventoryLocks === 'off') await sleep(300);
  }

  return {
    async packages(limit: number) {
      if (switches().packages === 'slow') await store.query('SELECT pg_sleep(0.5)');
      return store.query(
        `SELECT packages.id, title, place, "priceCents", currency,${version() === BAD_RELEASE ? ' season,' : ''} min(inventory_units.id) AS "unitId"
           FROM packages LEFT JOIN inventory_units ON "packageId" = packages.id AND "startsOn" > current_date AND sold < capacity
          WHERE status = 'published' GROUP BY packages.id ORDER BY packages.id LIMIT $1`,
        [limit],
      );
    },

    async quote(packageId: string, unitId: string, units: number) {
      const [found] = await store.query<{ priceCents: number; currency: string }>(
        `SELECT "priceCents", currency FROM packages JOIN inventory_units ON "packageId" = packages.id
          WHERE packages.id = $1 AND inventory_units.id = $2 AND status = 'published'`,
        [packageId, unitId],
      );
      if (found === undefined) throw new Refusal(404, 'there is no such departure');
      const { currency } = found;
      const quote: Quote = { packageId, unitId, units, priceCents: found.priceCents * units, currency };
      const id = randomUUID();
      await redis.set(`travel:quote:${id}`, JSON.stringify(quote), 'EX', QUOTE_SECONDS);
      return { id, ...quote, expiresAt: new Date(Date.now() + QUOTE_SECONDS * 1_000).toISOString() };
    },

    async hold(userId: string, quoteId: string, requestKey?: string): Promise<Booking> {
      const text = await redis.get(`travel:quote:${quoteId}`);
      if (text === null) throw new Refusal(404, 'that quote has run out');
      const { packageId, unitId, units, priceCents, currency } = JSON.parse(text) as Quote;
      return store.transaction(async (client) => {
        const { capacity, sold } = await departure(client, unitId);
        const { rows } = await client.query<{ held: number }>(
          `SELECT coalesce(sum(units), 0)::int AS held FROM inventory_locks WHERE "unitId" = $1 AND status = 'LOCKED'`,
          [unitId],
        );
        if (capacity - sold - rows[0]!.held < units)
          throw new Refusal(409, 'not enough units of this departure are left');
        await beLate();
        const made = await client.query<Booking>(
          `WITH lock AS (INSERT INTO inventory_locks ("unitId", units) VALUES ($1::bigint, $2::int) RETURNING id)
           INSERT INTO bookings ("userId", "unitId", "lockId", units, "priceCents", currency, "expiresAt", "requestKey")
           SELECT $3::bigint, $1::bigint, id, $2::int, $4::int, $5::text, now() + make_interval(mins => $6), $7::text FROM lock
           RETURNING id, status, "unitId", "lockId", units, "priceCents", "expiresAt"`,
          [unitId, units, userId, priceCents, currency, HOLD_MINUTES, requestKey],
        );
        return { ...made.rows[0]!, packageId };
      });
    },

    confirm: (userId: string, id: string): Promise<Booking> =>
      store.transaction(async (client) => {
        if (switches().confirmations === 'off')
          throw new Refusal(503, 'confirmations are stopped for a moment');
        const { rows } = await client.query<Booking & { isLate: boolean }>(
          `${BOOKING.replace(' FROM', ', "expiresAt" <= now() AS "isLate" FROM')} WHERE bookings.id = $1 AND "userId" = $2 FOR UPDATE OF bookings`,
          [id, userId],
        );
        const [found] = rows;
        if (found === undefined) throw new Refusal(404, 'you have no such booking');
        const { isLate, ...booking } = found;
        if (booking.status === 'CONFIRMED') return booking;
        if (booking.status !== 'HOLD' || isLate) throw new Refusal(410, 'that hold has run out');
        const { sold } = await departure(client, booking.unitId);
        await beLate();
        await client.query('UPDATE inventory_units SET sold = $2 WHERE id = $1', [
          booking.unitId,
          sold + booking.units,
        ]);
        await client.query(
          `INSERT INTO inventory_ledger ("unitId", "bookingId", units) VALUES ($1, $2, $3)`,
          [booking.unitId, id, booking.units],
        );
        await client.query(`UPDATE inventory_locks SET status = 'RELEASED' WHERE id = $1`, [booking.lockId]);
        await client.query(`UPDATE bookings SET status = 'CONFIRMED', "confirmedAt" = now() WHERE id = $1`, [
          id,
        ]);
        await client.query(
          `INSERT INTO audit_logs ("entityType", "entityId", action, source) VALUES ('booking', $1, 'booking_confirmed', 'api')`,
          [id],
        );
        return { ...booking, status: 'CONFIRMED' };
      }),

    of: (userId: string) =>
      store.query<Booking>(`${BOOKING} WHERE "userId" = $1 ORDER BY bookings."createdAt" DESC LIMIT 50`, [
        userId,
      ]),
  };
}

/** Ends holds whose time is over and releases what they kept. Returns how many. */
export async function expireHolds(store: Store): Promise<number> {
  const [ended] = await store.query<{ count: number }>(
    `WITH ended AS (
       UPDATE bookings SET status = 'EXPIRED'
        WHERE id IN (SELECT id FROM bookings WHERE status = 'HOLD' AND "expiresAt" <= now() LIMIT 500 FOR UPDATE SKIP LOCKED)
       RETURNING id, "lockId"
     ), released AS (
       UPDATE inventory_locks SET status = 'RELEASED' WHERE id IN (SELECT "lockId" FROM ended)
     ), logged AS (
       INSERT INTO audit_logs ("entityType", "entityId", action, source)
       SELECT 'booking', id::text, 'booking_expired', 'worker' FROM ended
     )
     SELECT count(*)::int AS count FROM ended`,
  );
  return ended!.count;
}
