import { randomUUID } from 'node:crypto';
import type { Pool } from 'pg';
import { need } from './externals';
import type { Switches } from './switches';

/** What differs from one release to the next. 2.4.0 is the bad one: no migration has added the column that it sorts by. */
const ORDERS: Record<string, string> = { '2.3.0': 'at', '2.3.1': 'at', '2.4.0': 'preferred DESC, at' };

/** What runs where nobody deploys anything. */
export const NEWEST_GOOD = '2.3.1';

/** Hours of the coming days at which nothing is booked. */
export async function findTimes(
  pool: Pool,
  client: string,
  { version, statementSeconds }: { version: string; statementSeconds: number },
): Promise<string[]> {
  const order = ORDERS[version];
  if (order === undefined) throw new Error(`release ${version} was never built`);
  const { rows } = await pool.query<{ at: Date }>(
    `WITH slow AS MATERIALIZED (SELECT pg_sleep($2)::text)
     SELECT at FROM slow, generate_series(date_trunc('hour', now()) + interval '1 day',
                                          now() + interval '8 days', interval '1 hour') AS at
      WHERE NOT EXISTS (SELECT FROM bookings
                         WHERE client_id = $1 AND starts_at = at AND status = 'confirmed')
      ORDER BY ${order} LIMIT 20`,
    [client, statementSeconds],
  );
  return rows.map(({ at }) => at.toISOString());
}

export interface EndedCall {
  /** VAPI's own: it may tell of a call twice, and that is one booking. */
  callId: string;
  client: string;
  caller: string;
  startsAt: string;
}

/** Books what a call has ended with, puts it into the client's calendar, and texts the caller. */
export async function book(pool: Pool, call: EndedCall, switches: Switches): Promise<{ booking: string }> {
  need('vapi', switches);
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const { rows: calls } = await client.query<{ id: string }>(
      `INSERT INTO calls (client_id, caller_id, vapi_call_id) VALUES ($1, $2, $3)
       ON CONFLICT (vapi_call_id) DO NOTHING RETURNING id`,
      [call.client, call.caller, call.callId],
    );
    if (calls[0] === undefined) {
      await client.query('ROLLBACK');
      return { booking: await bookingOf(pool, call.callId) };
    }
    const { rows } = await client.query<{ id: string }>(
      `INSERT INTO bookings (client_id, call_id, starts_at, google_event_id) VALUES ($1, $2, $3, $4) RETURNING id`,
      [call.client, calls[0].id, call.startsAt, `event-${randomUUID()}`],
    );
    need('google-calendar', switches);
    const booking = rows[0]!.id;
    await client.query('INSERT INTO messages (booking_id, twilio_sid) VALUES ($1, $2)', [
      booking,
      `SM${randomUUID()}`,
    ]);
    need('twilio', switches);
    await client.query(`INSERT INTO audit_logs (action, actor) VALUES ('booking_created', 'assistant')`);
    await client.query('COMMIT');
    return { booking };
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}

async function bookingOf(pool: Pool, callId: string): Promise<string> {
  const { rows } = await pool.query<{ id: string }>(
    'SELECT bookings.id FROM bookings JOIN calls ON calls.id = call_id WHERE vapi_call_id = $1',
    [callId],
  );
  return rows[0]!.id;
}

export async function cancel(pool: Pool, booking: string): Promise<void> {
  await pool.query(`UPDATE bookings SET status = 'cancelled' WHERE id = $1`, [booking]);
}

/** What the summaries feature reads, without a right to. */
export async function readSummary(pool: Pool): Promise<void> {
  await pool.query('SELECT summary FROM call_summaries LIMIT 1');
}

/** Foreign keys without an index, and tables that are read from end to end. */
export async function recommend(pool: Pool): Promise<{ table: string; recommendation: string }[]> {
  const { rows } = await pool.query<{ table: string; recommendation: string }>(
    `SELECT conrelid::regclass::text AS "table",
            format('index on %s (%s): a foreign key without one', conrelid::regclass, attname) AS recommendation
       FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
      WHERE contype = 'f' AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = conrelid AND indkey[0] = conkey[1])
      ORDER BY 1, 2`,
  );
  return rows;
}
