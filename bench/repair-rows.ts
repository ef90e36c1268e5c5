import type { Client } from 'pg';

/** A slot with the booking that stays and the one that goes. */
export interface Pair {
  slot: string;
  keep: string;
  cancel: string;
}

const SLOTS = 10_000;

/** Bookings that have ended, so that the table is as large as that. Past the indexes, which are built anew afterwards. */
export async function addRows(sql: Client, rows: number): Promise<void> {
  await sql.query(
    `INSERT INTO slots (id, resource_id, starts_at, ends_at, capacity) OVERRIDING SYSTEM VALUE
     SELECT (SELECT max(id) FROM slots) + n, (SELECT min(resource_id) FROM slots),
            now() + interval '1 year' + n * interval '1 h', now() + interval '1 year' + (n + 1) * interval '1 h', 1
       FROM generate_series(1, $1::int) n`,
    [SLOTS],
  );
  const { rows: indexes } = await sql.query<{ name: string; definition: string }>(
    `SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
      WHERE indrelid = 'bookings'::regclass AND NOT indisprimary AND NOT indisunique`,
  );
  for (const { name } of indexes) await sql.query(`DROP INDEX ${name}`);
  await sql.query('DROP INDEX IF EXISTS idx_bookings_one_confirmed_per_slot');
  await sql.query('SET session_replication_role = replica');
  await sql.query(
    `INSERT INTO bookings (customer_id, slot_id, status, price_cents, created_at)
     SELECT (SELECT min(id) FROM customers) + n % (SELECT count(*) FROM customers),
            (SELECT min(id) FROM slots) + n % (SELECT count(*) FROM slots), 'expired', 1000,
            now() - interval '1 year' + n * interval '1 s'
       FROM generate_series(1, $1::bigint - (SELECT count(*) FROM bookings)) n`,
    [rows],
  );
  // Only what this bench spoils is to be repaired.
  await sql.query(`UPDATE bookings SET status = 'expired' WHERE status IN ('held', 'confirmed')`);
  await sql.query('RESET session_replication_role');
  await sql.query(`UPDATE slots SET status = 'open' WHERE status = 'reserved'`);
  for (const { definition } of indexes) await sql.query(definition);
  await sql.query('VACUUM ANALYZE bookings');
}

/** As many slots as that, each with two confirmed bookings, the second of which has a link. Whatever was there has ended. */
export async function sellTwice(sql: Client, count: number): Promise<Pair[]> {
  await sql.query(`UPDATE bookings SET status = 'cancelled' WHERE status = 'confirmed'`);
  const { rows } = await sql.query<Pair>(
    `WITH chosen AS (SELECT id FROM slots ORDER BY id LIMIT $1),
       reserved AS (UPDATE slots SET status = 'reserved' WHERE id IN (SELECT id FROM chosen)),
       kept AS (INSERT INTO bookings (customer_id, slot_id, status, price_cents, confirmed_at)
                SELECT (SELECT min(id) FROM customers), id, 'confirmed', 1000, now() - interval '1 hour' FROM chosen
                RETURNING id, slot_id),
       second AS (INSERT INTO bookings (customer_id, slot_id, status, price_cents, confirmed_at)
                  SELECT (SELECT min(id) FROM customers), id, 'confirmed', 1000, now() FROM chosen
                  RETURNING id, slot_id),
       links AS (INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
                 SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '1 day' FROM second)
     SELECT kept.slot_id::text AS slot, kept.id::text AS keep, second.id::text AS cancel
       FROM kept JOIN second USING (slot_id) ORDER BY kept.slot_id`,
    [count],
  );
  if (rows.length !== count) throw new Error(`there are only ${rows.length} slots, ${count} are needed`);
  return rows;
}

/** As many holds as that, which ran out an hour ago, each with its slot and a link. */
export async function holdAgain(sql: Client, count: number): Promise<void> {
  await sql.query(
    `WITH chosen AS (SELECT id FROM slots ORDER BY id DESC LIMIT $1),
       reserved AS (UPDATE slots SET status = 'reserved' WHERE id IN (SELECT id FROM chosen)),
       held AS (INSERT INTO bookings (customer_id, slot_id, price_cents, expires_at)
                SELECT (SELECT min(id) FROM customers), id, 1000, now() - interval '1 hour' FROM chosen RETURNING id)
     INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
     SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '1 day' FROM held`,
    [count],
  );
}
