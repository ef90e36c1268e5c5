/** Rows as a faulty release or a job that stopped would leave them. Needs the rights of the owner. */
import { Client } from 'pg';

/**
 * Confirms a second booking for slots that were sold a while ago, as code does that goes past the unique index, which is
 * dropped: who has just booked may cancel again. Returns the slots.
 */
export async function sellTwice(databaseUrl: string, count: number): Promise<string[]> {
  return asOwner(databaseUrl, async (client) => {
    await client.query('DROP INDEX IF EXISTS idx_bookings_one_confirmed_per_slot');
    const { rows } = await client.query<{ slot: string }>(
      `WITH sold AS (
         SELECT DISTINCT ON (slot_id) slot_id, customer_id, price_cents, currency FROM bookings
          WHERE status = 'confirmed' AND slot_id IS NOT NULL AND confirmed_at < now() - interval '1 minute'
          ORDER BY slot_id DESC LIMIT $1
       ), again AS (
         INSERT INTO bookings (customer_id, slot_id, status, price_cents, currency, confirmed_at)
         SELECT customer_id, slot_id, 'confirmed', price_cents, currency, now() FROM sold RETURNING id, slot_id
       ), links AS (
         INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
         SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '30 days' FROM again
       )
       SELECT slot_id::text AS slot FROM again ORDER BY slot_id`,
      [count],
    );
    return rows.map(({ slot }) => slot);
  });
}

/** Holds open slots until half an hour ago. Returns the bookings. */
export async function leaveHolds(databaseUrl: string, count: number): Promise<string[]> {
  return asOwner(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `WITH free AS (
         UPDATE slots SET status = 'reserved' WHERE id IN (SELECT id FROM slots WHERE status = 'open' ORDER BY id DESC LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING id
       ), held AS (
         INSERT INTO bookings (customer_id, slot_id, price_cents, expires_at)
         SELECT (SELECT min(id) FROM customers), id, 1000, now() - interval '30 minutes' FROM free RETURNING id
       ), links AS (
         INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
         SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '30 days' FROM held
       )
       SELECT id::text FROM held ORDER BY id`,
      [count],
    );
    return rows.map(({ id }) => id);
  });
}

/**
 * Publishes listings of a provider whom nobody has approved, as a release does that goes past the gate, which is switched
 * off. Returns the listings.
 */
export async function openGate(databaseUrl: string, count: number): Promise<string[]> {
  return asOwner(databaseUrl, async (client) => {
    await client.query('ALTER TABLE listings DISABLE TRIGGER listings_gate');
    const { rows } = await client.query<{ id: string }>(
      `WITH applicant AS (
         INSERT INTO providers (name, status, decided_at, country) VALUES ('Unknown Studio', 'PENDING', now(), 'DE') RETURNING id
       )
       INSERT INTO listings (provider_id, title, status, property_status, price_cents, published_at)
       SELECT id, 'Studio hour', 'published', 'APPROVED', 1500, now() FROM applicant, generate_series(1, $1) RETURNING id::text`,
      [count],
    );
    return rows.map(({ id }) => id);
  });
}

/** Has the gate work again. */
export async function shutGate(databaseUrl: string): Promise<void> {
  await asOwner(databaseUrl, (client) => client.query('ALTER TABLE listings ENABLE TRIGGER listings_gate'));
}

/** Deliveries that were tried once, in vain, and are due again. Returns them. */
export async function failDeliveries(databaseUrl: string, count: number): Promise<string[]> {
  return asOwner(databaseUrl, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `INSERT INTO webhook_deliveries (endpoint_id, booking_id, event, payload, attempts, next_attempt_at, last_error)
       SELECT (SELECT min(id) FROM webhook_endpoints), id, 'booking.' || status, jsonb_build_object('event', 'booking.' || status, 'booking', id),
              1, now() - interval '10 minutes', 'connect ETIMEDOUT'
         FROM bookings ORDER BY id LIMIT $1
       RETURNING id::text`,
      [count],
    );
    return rows.map(({ id }) => id);
  });
}

async function asOwner<T>(connectionString: string, body: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString, application_name: 'booking-trouble' });
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}
