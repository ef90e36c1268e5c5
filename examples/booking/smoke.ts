/**
 * Smoke program: books a slot in the database of DATABASE_URL the way a customer would, and takes it all back.
 * Everything happens in one transaction that is rolled back, with keys that no sequence gave out, and nothing is sent
 * to anybody: safe on a restored copy, on staging, and on production.
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'pg';

/** Thrown when a step of the smoke program does not do what it must. */
export class SmokeFailure extends Error {
  constructor(
    readonly step: string,
    why: string,
  ) {
    super(`smoke failed at "${step}": ${why}`);
    this.name = 'SmokeFailure';
  }
}

interface Attempt {
  client: Client;
  booking: string;
  /** Filled as the attempt goes on. */
  customer?: string;
  slot?: string;
  priceCents?: number;
}

// Far beyond every real slot; the numbers lie below every one that a sequence gives out.
const SLOT_START = '2999-01-01T09:00:00Z';
const SLOT_IDS = '-9000000000000000000';
const AUDIT_ID = '-9000000000000000000';

const STEPS: [name: string, run: (attempt: Attempt) => Promise<void>][] = [
  ['read customers', readCustomers],
  ['quote', quote],
  ['hold', hold],
  ['same request twice', repeatRequest],
  ['read the action token', readActionToken],
  ['confirm', confirm],
  ['second booking of the slot', bookTwice],
  ['read deliveries and writebacks', readDeliveries],
];

/** Runs every step; resolves to their names. Throws SmokeFailure naming the step. */
export async function runSmoke(databaseUrl: string): Promise<string[]> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'booking-smoke',
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
  });
  client.on('error', () => undefined);
  await at('connect', () => client.connect());
  try {
    const attempt: Attempt = { client, booking: randomUUID() };
    await at('begin', () => client.query('BEGIN'));
    try {
      for (const [name, run] of STEPS) await at(name, () => run(attempt));
    } finally {
      await client.query('ROLLBACK').catch(() => undefined);
    }
    await at('nothing left behind', () => leftNothing(attempt));
    return STEPS.map(([name]) => name);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function at<T>(step: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof SmokeFailure) throw error;
    const { message, code } = error as Error & { code?: string };
    throw new SmokeFailure(step, code === undefined ? message : `${message} (${code})`);
  }
}

function must(holds: boolean, otherwise: string): asserts holds {
  if (!holds) throw new Error(otherwise);
}

async function readCustomers(attempt: Attempt): Promise<void> {
  const { rows } = await attempt.client.query<{ id: Attempt['customer'] }>(
    'SELECT id FROM customers ORDER BY id LIMIT 1',
  );
  must(rows.length === 1, 'there are no customers');
  attempt.customer = rows[0]!.id;
}

/** Offers slots of its own, because in an old copy every other one may have passed, and finds one as customers do. */
async function quote(attempt: Attempt): Promise<void> {
  await attempt.client.query(
    `INSERT INTO slots (id, resource_id, starts_at, ends_at, capacity) OVERRIDING SYSTEM VALUE
     SELECT $1::bigint + resource_id, resource_id, $2::timestamptz, $2::timestamptz + interval '30 minutes', 2
     FROM (SELECT DISTINCT resource_id FROM slots ORDER BY resource_id LIMIT 100) rooms`,
    [SLOT_IDS, SLOT_START],
  );
  const { rows } = await attempt.client.query<{
    slot_id: Attempt['slot'];
    price_cents: Attempt['priceCents'];
  }>('SELECT slot_id, price_cents FROM slot_availability WHERE starts_at = $1 AND capacity >= 2 LIMIT 1', [
    SLOT_START,
  ]);
  must(rows.length === 1, 'a free slot of a published listing is not offered');
  attempt.slot = rows[0]!.slot_id;
  attempt.priceCents = rows[0]!.price_cents;
}

async function hold(attempt: Attempt): Promise<void> {
  const { client, booking, customer, slot, priceCents } = attempt;
  const taken = await client.query(`UPDATE slots SET status = 'reserved' WHERE id = $1 AND status = 'open'`, [
    slot,
  ]);
  must(taken.rowCount === 1, 'the quoted slot cannot be reserved');
  await client.query(
    `INSERT INTO bookings (id, customer_id, slot_id, party_size, price_cents, expires_at)
     VALUES ($1, $2, $3, 2, $4, now() + interval '15 minutes')`,
    [booking, customer, slot, priceCents],
  );
  await client.query(
    `INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
     VALUES ($1, 'cancel', sha256($2), now() + interval '1 day')`,
    [booking, randomBytes(32)],
  );
  const { rows } = await client.query<{ free: number }>(
    'SELECT count(*)::int AS free FROM slot_availability WHERE slot_id = $1',
    [slot],
  );
  must(rows[0]?.free === 0, 'a held slot is still offered');
}

async function repeatRequest({ client, booking }: Attempt): Promise<void> {
  const remember = `INSERT INTO idempotency_keys (key, scope, request_hash, response_status, response, expires_at)
    VALUES ($1, 'smoke', $2, 201, $3, now() + interval '1 day') ON CONFLICT DO NOTHING`;
  const values = [booking, createHash('sha256').update(booking).digest('hex'), { id: booking }];
  must((await client.query(remember, values)).rowCount === 1, 'an idempotency key is not kept');
  must((await client.query(remember, values)).rowCount === 0, 'the same idempotency key was accepted twice');
}

async function readActionToken({ client, booking }: Attempt): Promise<void> {
  const { rows } = await client.query<{ purpose: string }>(
    `SELECT purpose FROM action_tokens JOIN bookings ON bookings.id = booking_id
     WHERE booking_id = $1 AND used_at IS NULL AND action_tokens.expires_at > now()`,
    [booking],
  );
  must(rows[0]?.purpose === 'cancel', 'the action token of the hold is not found');
}

async function confirm({ client, booking, priceCents }: Attempt): Promise<void> {
  const { rowCount } = await client.query(
    `UPDATE bookings SET status = 'confirmed', confirmed_at = now(), expires_at = NULL
     WHERE id = $1 AND status = 'held' AND expires_at > now()`,
    [booking],
  );
  must(rowCount === 1, 'the hold cannot be confirmed');
  const hash = createHash('sha256').update(booking).digest('hex');
  await client.query(
    `INSERT INTO payments (booking_id, provider, provider_ref, status, amount_cents, webhook_payload_hash)
     VALUES ($1, 'stripe', $2, 'succeeded', $3, $4)`,
    [booking, `smoke_${booking}`, priceCents, hash],
  );
  await client.query(
    `INSERT INTO audit_logs (id, entity_type, entity_id, action, source) OVERRIDING SYSTEM VALUE
     VALUES ($1, 'booking', $2, 'booking_confirmed', 'system')`,
    [AUDIT_ID, booking],
  );
}

/** The database itself must refuse to sell a slot twice, whatever the application does. */
async function bookTwice({ client, booking }: Attempt): Promise<void> {
  await client.query('SAVEPOINT twice');
  const refused = await client
    .query(
      `INSERT INTO bookings (id, customer_id, slot_id, status, price_cents, confirmed_at)
       SELECT $2, customer_id, slot_id, status, price_cents, confirmed_at FROM bookings WHERE id = $1`,
      [booking, randomUUID()],
    )
    .then(() => undefined)
    .catch((error: Error & { code?: string; constraint?: string }) => error);
  await client.query('ROLLBACK TO SAVEPOINT twice');
  must(
    refused !== undefined,
    'one slot was confirmed twice: idx_bookings_one_confirmed_per_slot is missing or invalid',
  );
  if (refused.code !== '23505') throw refused;
}

async function readDeliveries({ client }: Attempt): Promise<void> {
  const deliveries = await client.query(
    `SELECT booking_id, payload->>'booking' AS told FROM webhook_deliveries
     JOIN webhook_endpoints ON webhook_endpoints.id = endpoint_id ORDER BY webhook_deliveries.id DESC LIMIT 50`,
  );
  must(deliveries.rows.length > 0, 'there are no webhook deliveries');
  must(
    deliveries.rows.every(({ booking_id, told }) => booking_id === told),
    'a webhook delivery tells of another booking than its own',
  );
  const writebacks = await client.query(
    `SELECT vendor FROM calendar_writebacks JOIN calendar_accounts ON calendar_accounts.id = account_id
     ORDER BY calendar_writebacks.id DESC LIMIT 50`,
  );
  must(writebacks.rows.length > 0, 'there are no calendar writebacks');
}

async function leftNothing({ client, booking }: Attempt): Promise<void> {
  const { rows } = await client.query<{ left_behind: string }>(
    `SELECT (SELECT count(*) FROM bookings WHERE id = $1) + (SELECT count(*) FROM slots WHERE id < 0) AS left_behind`,
    [booking],
  );
  must(rows[0]?.left_behind === '0', 'the rolled-back booking or its slot is still there');
}

async function main(): Promise<void> {
  const { DATABASE_URL: databaseUrl } = process.env;
  if (databaseUrl === undefined || databaseUrl === '') {
    throw new SmokeFailure('start', 'DATABASE_URL is not set. It names the database to try.');
  }
  const steps = await runSmoke(databaseUrl);
  console.log(`smoke passed: ${steps.join(', ')}; rolled back`);
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
