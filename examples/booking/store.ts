import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { Pool, PoolClient } from 'pg';
import { inTransaction } from '../shared/transaction';

export interface Slot {
  slotId: string;
  startsAt: string;
  capacity: number;
  title: string;
  priceCents: number;
  currency: string;
}

/** The application's answer where a request cannot be met: a 4xx, not a fault. */
export class Refused extends Error {
  constructor(
    readonly statusCode: 404 | 409,
    message: string,
  ) {
    super(message);
    this.name = 'Refused';
  }
}

/** What is free, with its price. */
export const QUOTE = `SELECT slot_id AS "slotId", starts_at AS "startsAt", capacity, title, price_cents AS "priceCents", currency
  FROM slot_availability`;

/** The next free slots for a party. */
export async function findSlots(pool: Pool, partySize: number, limit: number): Promise<Slot[]> {
  const { rows } = await pool.query<Slot>(`${QUOTE} WHERE capacity >= $1 ORDER BY starts_at LIMIT $2`, [
    partySize,
    limit,
  ]);
  return rows;
}

/** Holds a slot for 15 minutes. The same idempotency key gets the same booking again. */
export async function holdSlot(
  pool: Pool,
  request: { slotId: string; customerId: string; partySize: number; key: string },
): Promise<{ id: string; status: string }> {
  const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest('hex');
  return inTransaction(pool, async (client) => {
    const first = await client.query(
      `INSERT INTO idempotency_keys (key, scope, request_hash, expires_at)
       VALUES ($1, 'POST /bookings', $2, now() + interval '7 days') ON CONFLICT DO NOTHING`,
      [request.key, fingerprint],
    );
    if (first.rowCount === 0) return answeredBefore(client, request.key, fingerprint);
    const booking = { id: randomUUID() as string, status: 'held' };
    const { rows } = await client.query<Slot>(`${QUOTE} WHERE slot_id = $1 AND capacity >= $2`, [
      request.slotId,
      request.partySize,
    ]);
    const taken = await client.query(
      `UPDATE slots SET status = 'reserved' WHERE id = $1 AND status = 'open'`,
      [request.slotId],
    );
    if (rows[0] === undefined || taken.rowCount === 0)
      throw new Refused(409, `slot ${request.slotId} is not free`);
    await client.query(
      `INSERT INTO bookings (id, customer_id, slot_id, party_size, price_cents, currency, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, now() + interval '15 minutes')`,
      [
        booking.id,
        request.customerId,
        request.slotId,
        request.partySize,
        rows[0].priceCents,
        rows[0].currency,
      ],
    );
    await client.query(
      `INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
       VALUES ($1, 'cancel', sha256($2), now() + interval '30 days')`,
      [booking.id, randomBytes(32)],
    );
    await audit(client, booking.id, 'booking_created');
    await client.query(
      `UPDATE idempotency_keys SET response_status = 201, response = $2 WHERE scope = 'POST /bookings' AND key = $1`,
      [request.key, booking],
    );
    return booking;
  });
}

async function answeredBefore(
  client: PoolClient,
  key: string,
  fingerprint: string,
): Promise<{ id: string; status: string }> {
  const { rows } = await client.query<{ request_hash: string; response: { id: string; status: string } }>(
    `SELECT request_hash, response FROM idempotency_keys WHERE scope = 'POST /bookings' AND key = $1`,
    [key],
  );
  const [known] = rows;
  if (known?.request_hash !== fingerprint)
    throw new Refused(409, 'this idempotency key belongs to another request');
  return known.response;
}

/** Turns a hold that has not run out into a confirmed and paid booking. */
export async function confirmBooking(pool: Pool, id: string): Promise<{ id: string; status: string }> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ price_cents: number; currency: string }>(
      `UPDATE bookings SET status = 'confirmed', confirmed_at = now(), expires_at = NULL
       WHERE id = $1 AND status = 'held' AND expires_at > now() RETURNING price_cents, currency`,
      [id],
    );
    if (rows[0] === undefined) throw new Refused(409, `booking ${id} is no hold, or it has run out`);
    const reference = `pi_${randomBytes(12).toString('hex')}`;
    await client.query(
      `INSERT INTO payments (booking_id, provider, provider_ref, status, amount_cents, currency, webhook_payload_hash)
       VALUES ($1, 'stripe', $2, 'succeeded', $3, $4, $5)`,
      [
        id,
        reference,
        rows[0].price_cents,
        rows[0].currency,
        createHash('sha256').update(reference).digest('hex'),
      ],
    );
    await audit(client, id, 'booking_confirmed');
    return { id, status: 'confirmed' };
  });
}

/** Ends a hold or a confirmed booking, frees its slot, voids its tokens, refunds what was paid. */
export async function cancelBooking(pool: Pool, id: string): Promise<{ id: string; status: string }> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ slot_id: string }>(
      `UPDATE bookings SET status = 'cancelled', expires_at = NULL
       WHERE id = $1 AND status IN ('held', 'confirmed') RETURNING slot_id`,
      [id],
    );
    if (rows[0] === undefined) throw new Refused(409, `booking ${id} has ended already or does not exist`);
    await client.query(`UPDATE slots SET status = 'open' WHERE id = $1 AND status = 'reserved'`, [
      rows[0].slot_id,
    ]);
    await client.query('UPDATE action_tokens SET used_at = now() WHERE booking_id = $1 AND used_at IS NULL', [
      id,
    ]);
    await client.query(
      `UPDATE payments SET status = 'refunded', updated_at = now() WHERE booking_id = $1 AND status = 'succeeded'`,
      [id],
    );
    await audit(client, id, 'booking_cancelled');
    return { id, status: 'cancelled' };
  });
}

async function audit(client: PoolClient, id: string, action: string): Promise<void> {
  await client.query(
    `INSERT INTO audit_logs (entity_type, entity_id, action, source) VALUES ('booking', $1, $2, 'customer')`,
    [id, action],
  );
}
