import type { Client } from 'pg';
import type { Pair } from './repair-rows';

/** Where somebody who is careful keeps the rows as they were. */
export const KEPT = 'CREATE TABLE kept_by_hand (relation text, key text, was jsonb)';

/** Cancels the second of each pair, as somebody would write it; a transaction for each batch. */
export async function cancelByHand(sql: Client, pairs: Pair[], batchRows: number): Promise<number> {
  const slots = Math.max(1, Math.floor(batchRows / 2));
  let done = 0;
  for (let from = 0; from < pairs.length; from += slots) {
    const batch = pairs.slice(from, from + slots);
    const ids = batch.map(({ cancel }) => cancel);
    await sql.query('BEGIN');
    await sql.query(
      `SELECT FROM bookings WHERE id = ANY($1::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED`,
      [[...ids, ...batch.map(({ keep }) => keep)]],
    );
    done += await endBatch(sql, ids, {
      state: 'cancelled',
      action: 'booking_cancelled',
      reason: 'double booking',
    });
    await sql.query('COMMIT');
  }
  return done;
}

/** Ends holds that ran out a minute ago. */
export async function releaseByHand(sql: Client, most: number, batchRows: number): Promise<number> {
  let done = 0;
  while (done < most) {
    await sql.query('BEGIN');
    const { rows } = await sql.query<{ id: string }>(
      `SELECT id FROM bookings WHERE status = 'held' AND expires_at <= now() - interval '1 min'
        ORDER BY expires_at LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED`,
      [Math.min(batchRows, most - done)],
    );
    const ids = rows.map(({ id }) => id);
    const ended = await endBatch(sql, ids, {
      state: 'expired',
      action: 'booking_expired',
      reason: 'stuck hold',
    });
    await sql.query('COMMIT');
    if (ended === 0) break;
    done += ended;
  }
  return done;
}

async function endBatch(
  sql: Client,
  ids: string[],
  { state, action, reason }: { state: string; action: string; reason: string },
): Promise<number> {
  await sql.query(
    `SELECT FROM slots WHERE id IN (SELECT slot_id FROM bookings WHERE id = ANY($1::uuid[]))
      ORDER BY id FOR UPDATE SKIP LOCKED`,
    [ids],
  );
  await sql.query(
    `INSERT INTO kept_by_hand
     SELECT 'bookings', id::text, to_jsonb(b) FROM bookings b WHERE id = ANY($1::uuid[])
     UNION ALL
     SELECT 'slots', id::text, to_jsonb(s) FROM slots s
      WHERE id IN (SELECT slot_id FROM bookings WHERE id = ANY($1::uuid[]))
     UNION ALL
     SELECT 'action_tokens', id::text, to_jsonb(t) FROM action_tokens t
      WHERE booking_id = ANY($1::uuid[]) AND used_at IS NULL`,
    [ids],
  );
  const { rowCount } = await sql.query('UPDATE bookings SET status = $2 WHERE id = ANY($1::uuid[])', [
    ids,
    state,
  ]);
  await sql.query(
    `UPDATE slots s SET status = 'open'
      WHERE id IN (SELECT slot_id FROM bookings WHERE id = ANY($1::uuid[])) AND status = 'reserved'
        AND NOT EXISTS (SELECT FROM bookings b WHERE b.slot_id = s.id AND b.status IN ('held', 'confirmed'))`,
    [ids],
  );
  await sql.query(
    'UPDATE action_tokens SET used_at = now() WHERE booking_id = ANY($1::uuid[]) AND used_at IS NULL',
    [ids],
  );
  await sql.query(
    `INSERT INTO audit_logs (entity_type, entity_id, action, source, details)
     SELECT 'booking', id::text, $2, 'operator', jsonb_build_object('reason', $3::text)
       FROM unnest($1::uuid[]) AS id`,
    [ids, action, reason],
  );
  return rowCount ?? 0;
}
