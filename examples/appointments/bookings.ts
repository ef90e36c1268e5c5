/** What guests do: look for a time, book it, cancel by the link in their e-mail. */
import { createHash, createHmac, randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Pool, PoolClient } from 'pg';
import { inTransaction } from '../shared/transaction';

export interface BookingRequest {
  host: string;
  start: string;
  name: string;
  email: string;
}

/** An answer that is no fault of ours: a 4xx. */
export class Refused extends Error {
  constructor(
    readonly statusCode: 404 | 409,
    message: string,
  ) {
    super(message);
  }
}

export interface BookingsOptions {
  pool: Pool;
  /** Release in front. 1.5.0 writes a column that a migration has to add first. */
  version: () => string;
  /** Of what the links in e-mails are made. */
  linkKey: string;
}

const MAX_DAYS = 31;
const DAY_MS = 86_400_000;
const SLOT_MS = 30 * 60_000;

export function addBookings(server: FastifyInstance, options: BookingsOptions): void {
  const { pool, linkKey } = options;
  server.get<{ Querystring: { host: string; from?: string; to?: string } }>(
    '/v0/availability',
    {
      schema: {
        querystring: {
          type: 'object',
          required: ['host'],
          properties: { host: digits, from: time, to: time },
        },
      },
    },
    async ({ query }) => {
      const from = Date.parse(query.from ?? new Date().toISOString());
      const to = Math.min(
        Date.parse(query.to ?? new Date(from + DAY_MS).toISOString()),
        from + MAX_DAYS * DAY_MS,
      );
      return { slots: await findSlots(pool, query.host, new Date(from), new Date(to)) };
    },
  );
  server.post<{ Body: BookingRequest; Headers: { 'idempotency-key': string } }>(
    '/v0/bookings',
    {
      schema: {
        headers: {
          type: 'object',
          required: ['idempotency-key'],
          properties: { 'idempotency-key': { type: 'string', minLength: 8, maxLength: 100 } },
        },
        body: {
          type: 'object',
          required: ['host', 'start', 'name', 'email'],
          properties: { host: digits, start: time, name: text, email: text },
        },
      },
    },
    async ({ body, headers }, reply) => {
      const id = await book(options, body, headers['idempotency-key']);
      const cancel = `/v0/bookings/actions/${tokenFor(linkKey, id)}/cancel`;
      return reply.code(201).send({ id, status: 'confirmed', actions: { cancel } });
    },
  );
  server.post<{ Params: { token: string } }>('/v0/bookings/actions/:token/cancel', ({ params }) =>
    cancel(pool, params.token),
  );
}

const digits = { type: 'string', pattern: '^[0-9]{1,18}$' };
const time = { type: 'string', format: 'date-time' };
const text = { type: 'string', minLength: 1, maxLength: 200 };

/** Can be made again for the same booking: nobody has to keep it. */
export function tokenFor(linkKey: string, booking: string): string {
  return createHmac('sha256', linkKey).update(`cancel ${booking}`).digest('base64url');
}

const hashOf = (token: string): Buffer => createHash('sha256').update(token).digest();

/** Half hours in which the host works, has no appointment, and is not busy elsewhere as far as we know. */
const SLOTS = `
  SELECT slot AS start, slot + interval '30 min' AS "end"
    FROM hosts, generate_series(date_trunc('day', $2::timestamptz, 'UTC'), $3::timestamptz, '30 min') AS slot
   WHERE hosts.id = $1 AND slot >= greatest($2, now()) AND slot + interval '30 min' <= $3
     AND (slot AT TIME ZONE 'UTC')::time >= opens AND (slot AT TIME ZONE 'UTC')::time <= closes - interval '30 min'
     AND NOT EXISTS (SELECT FROM bookings WHERE host_id = hosts.id AND status = 'confirmed'
                        AND starts_at < slot + interval '30 min' AND ends_at > slot)
     AND NOT EXISTS (SELECT FROM calendar_events JOIN calendar_connections ON calendar_connections.id = connection_id
                      WHERE host_id = hosts.id AND starts_at < slot + interval '30 min' AND ends_at > slot)
   ORDER BY slot`;

export async function findSlots(
  pool: Pool,
  host: string,
  from: Date,
  to: Date,
): Promise<{ start: Date; end: Date }[]> {
  const { rows } = await pool.query<{ start: Date; end: Date }>(SLOTS, [host, from, to]);
  return rows;
}

/** What all hosts offer in the next seven days. */
export async function countSlots(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ id: string }>('SELECT id::text FROM hosts ORDER BY id');
  const now = new Date();
  const end = new Date(now.getTime() + 7 * DAY_MS);
  const found = await Promise.all(rows.map(({ id }) => findSlots(pool, id, now, end)));
  return found.flat().length;
}

/** The same key gets the same booking again. */
async function book(
  { pool, version, linkKey }: BookingsOptions,
  request: BookingRequest,
  key: string,
): Promise<string> {
  const fingerprint = createHash('sha256').update(JSON.stringify(request)).digest('hex');
  return inTransaction(pool, async (client) => {
    const id = randomUUID();
    const first = await client.query(
      `INSERT INTO idempotency_keys (key, request_hash, booking_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
      [key, fingerprint, id],
    );
    if (first.rowCount === 0) return bookedBefore(client, key, fingerprint);
    const start = new Date(request.start);
    const end = new Date(start.getTime() + SLOT_MS);
    const { rowCount } = await client.query(SLOTS, [request.host, start, end]);
    if (rowCount !== 1) throw new Refused(409, `${request.start} is not offered`);
    const more = version() === '1.5.0' ? ['notes'] : [];
    const values = [id, request.host, start, end, request.name, request.email, ...more.map(() => null)];
    const columns = ['id', 'host_id', 'starts_at', 'ends_at', 'guest_name', 'guest_email', ...more];
    const { rowCount: booked } = await client.query(
      `INSERT INTO bookings (${columns.join(', ')}) VALUES (${values.map((_, index) => `$${index + 1}`).join(', ')})
         ON CONFLICT DO NOTHING`,
      values,
    );
    if (booked === 0) throw new Refused(409, `${request.start} was taken a moment ago`);
    await client.query(
      `INSERT INTO action_tokens (token_hash, booking_id, purpose, expires_at) VALUES ($1, $2, 'cancel', $3)`,
      [hashOf(tokenFor(linkKey, id)), id, start],
    );
    await tellOthers(client, id, 'created');
    return id;
  });
}

async function bookedBefore(client: PoolClient, key: string, fingerprint: string): Promise<string> {
  const { rows } = await client.query<{ hash: string; id: string }>(
    `SELECT request_hash AS hash, booking_id AS id FROM idempotency_keys WHERE key = $1`,
    [key],
  );
  if (rows[0]?.hash !== fingerprint)
    throw new Refused(409, 'this idempotency key belongs to another request');
  return rows[0].id;
}

/** A link works once, and for whom it was sent to. */
async function cancel(pool: Pool, token: string): Promise<{ id: string; status: 'cancelled' }> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `UPDATE action_tokens SET used_at = now()
        WHERE token_hash = $1 AND purpose = 'cancel' AND used_at IS NULL AND expires_at > now()
        RETURNING booking_id AS id`,
      [hashOf(token)],
    );
    if (rows[0] === undefined) throw new Refused(404, 'this link was used, has run out, or never was one');
    const { id } = rows[0];
    await client.query(`UPDATE bookings SET status = 'cancelled' WHERE id = $1`, [id]);
    await tellOthers(client, id, 'cancelled');
    return { id, status: 'cancelled' };
  });
}

/** In the transaction of the booking: what goes out because of it is never forgotten, and never sent for nothing. */
async function tellOthers(client: PoolClient, id: string, what: 'created' | 'cancelled'): Promise<void> {
  await client.query(
    `INSERT INTO webhook_deliveries (endpoint_id, booking_id, event, payload)
     SELECT e.id, b.id, $2, jsonb_build_object('event', $2::text, 'booking', b.id, 'start', b.starts_at)
       FROM bookings b JOIN webhook_endpoints e USING (host_id) WHERE b.id = $1`,
    [id, `booking.${what}`],
  );
  await client.query(
    `INSERT INTO calendar_writebacks (connection_id, booking_id, action)
     SELECT c.id, b.id, $2 FROM bookings b JOIN calendar_connections c USING (host_id) WHERE b.id = $1`,
    [id, what === 'created' ? 'create' : 'delete'],
  );
  await client.query(
    `INSERT INTO email_outbox (booking_id, kind, recipient) SELECT id, $2, guest_email FROM bookings WHERE id = $1`,
    [id, what === 'created' ? 'confirmation' : 'cancellation'],
  );
}
