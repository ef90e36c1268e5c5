/**
 * Smoke program: books an appointment in the database of DATABASE_URL as the application does, with its link and all that
 * goes out because of it, and takes everything back. One transaction that is rolled back: safe on a restored copy, on staging
 * and on production.
 */
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';

const START = '2999-01-01T09:00:00Z';

const STEPS: [name: string, sql: string, values: (booking: string) => unknown[]][] = [
  [
    'book',
    `INSERT INTO bookings (id, host_id, starts_at, ends_at, guest_name, guest_email)
     SELECT $1, min(id), $2, $2::timestamptz + interval '30 min', 'Smoke', 'smoke@example.com' FROM hosts RETURNING id`,
    (booking) => [booking, START],
  ],
  [
    'remember the request',
    `INSERT INTO idempotency_keys (key, request_hash, booking_id) VALUES ('smoke ' || $1::text, 'smoke', $1::uuid) RETURNING key`,
    (booking) => [booking],
  ],
  [
    'make a link',
    `INSERT INTO action_tokens (token_hash, booking_id, purpose, expires_at)
     VALUES (sha256(convert_to($1::text, 'UTF8')), $1::uuid, 'cancel', $2) RETURNING booking_id`,
    (booking) => [booking, START],
  ],
  [
    'tell the host',
    `INSERT INTO webhook_deliveries (endpoint_id, booking_id, event, payload)
     SELECT e.id, b.id, 'smoke', '{}' FROM bookings b JOIN webhook_endpoints e USING (host_id) WHERE b.id = $1 RETURNING id`,
    (booking) => [booking],
  ],
  [
    'enter it in the calendar',
    `INSERT INTO calendar_writebacks (connection_id, booking_id, action)
     SELECT c.id, b.id, 'create' FROM bookings b JOIN calendar_connections c USING (host_id) WHERE b.id = $1 RETURNING id`,
    (booking) => [booking],
  ],
  [
    'write the e-mail',
    `INSERT INTO email_outbox (booking_id, kind, recipient) VALUES ($1, 'confirmation', 'smoke@example.com') RETURNING id`,
    (booking) => [booking],
  ],
];

/** Resolves to the names of the steps. Throws with the name of the one that failed. */
export async function runSmoke(databaseUrl: string): Promise<string[]> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'appointments-smoke',
    connectionTimeoutMillis: 10_000,
    statement_timeout: 10_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const booking = randomUUID();
    await client.query('BEGIN');
    for (const [name, sql, values] of STEPS) {
      const { rowCount } = await client.query(sql, values(booking)).catch((error: Error) => {
        throw new Error(`"${name}" failed: ${error.message}`);
      });
      if (rowCount === 0) throw new Error(`"${name}" did nothing`);
    }
    await client.query('ROLLBACK');
    return STEPS.map(([name]) => name);
  } finally {
    await client.end();
  }
}

if (require.main === module) {
  runSmoke(process.env['DATABASE_URL'] ?? '').then(
    (steps) => console.log(`smoke: ${steps.join(', ')}`),
    (error: Error) => {
      console.error(`smoke: ${error.message}`);
      process.exitCode = 1;
    },
  );
}
