export interface DataStep {
  table: string;
  sql: string;
}

/** What hangs on a booking. Its "random" values are hashes of the booking's id. */
export function childSteps(seed: number, now: string): DataStep[] {
  const share = (salt: number): string =>
    `((uuid_hash_extended(b.id, ${seed * 1000 + salt}) & 2147483647) / 2147483648.0::float8)`;
  const digest = (salt: string): string => `md5(b.id::text || '${salt}/${seed}')`;
  return [
    {
      table: 'action_tokens',
      sql: `INSERT INTO action_tokens (id, booking_id, purpose, token_hash, expires_at, used_at, created_at)
        SELECT ${digest('token')}::uuid, b.id, 'cancel', sha256((b.id::text || 'token/${seed}')::bytea),
          b.created_at + interval '30 days', CASE WHEN b.status IN ('cancelled', 'expired') THEN b.updated_at END, b.created_at
        FROM bookings b`,
    },
    {
      table: 'idempotency_keys',
      sql: `INSERT INTO idempotency_keys (key, scope, request_hash, response_status, response, created_at, expires_at)
        SELECT ${digest('key')}, 'POST /bookings', ${digest('request')}, 201, jsonb_build_object('id', b.id, 'status', 'held'),
          b.created_at, b.created_at + interval '7 days'
        FROM bookings b WHERE b.created_at > ${now} - interval '7 days'`,
    },
    paymentStep(share, digest, now),
    ...deliverySteps(share, digest, now),
    {
      table: 'audit_logs',
      sql: `INSERT INTO audit_logs (entity_type, entity_id, action, source, details, created_at)
        SELECT 'booking', b.id::text, CASE n WHEN 1 THEN 'booking_created' ELSE 'booking_' || b.status END,
          CASE WHEN n = 2 AND b.status = 'expired' THEN 'system' WHEN n = 2 AND ${share(50)} < 0.3 THEN 'provider' ELSE 'customer' END,
          CASE n WHEN 1 THEN jsonb_build_object('slotId', b.slot_id, 'channel', b.source, 'address', '198.51.100.' || floor(${share(51)} * 250)::int)
            ELSE jsonb_build_object('from', 'held', 'to', b.status) END,
          CASE n WHEN 1 THEN b.created_at ELSE b.updated_at END
        FROM bookings b CROSS JOIN generate_series(1, 2) n WHERE n = 1 OR b.status <> 'held'
        UNION ALL
        SELECT 'payment', p.id::text, 'payment_' || p.status, 'system', jsonb_build_object('provider', p.provider, 'amountCents', p.amount_cents), p.updated_at
        FROM payments p`,
    },
    { table: 'job_runs', sql: `INSERT INTO job_runs (job, last_run_at) VALUES ('expire_bookings', ${now})` },
  ];
}

/**
 * Some pay at the door, some attempts fail, and a few payments of an integration that was replaced half a year
 * ago never heard back: still pending, without the provider's reference.
 */
function paymentStep(
  share: (salt: number) => string,
  digest: (salt: string) => string,
  now: string,
): DataStep {
  const answered = `status IN ('succeeded', 'refunded', 'failed')`;
  return {
    table: 'payments',
    sql: `INSERT INTO payments (id, booking_id, provider, provider_ref, status, amount_cents, webhook_payload_hash, created_at, updated_at)
      SELECT id, booking_id, provider, CASE WHEN ${answered} THEN 'pi_' || substr(ref, 1, 24) END, status::payment_status, price_cents,
        CASE WHEN ${answered} THEN encode(sha256(ref::bytea), 'hex') END, created_at + interval '1 minute', updated_at + interval '1 minute'
      FROM (
        SELECT ${digest('payment')}::uuid AS id, b.id AS booking_id, b.price_cents, b.created_at, b.updated_at, ${digest('ref')} AS ref,
          (ARRAY['stripe', 'razorpay', 'upi'])[1 + floor(${share(31)} * 3)::int] AS provider,
          CASE
            WHEN b.status IN ('confirmed', 'no_show') THEN CASE WHEN ${share(30)} < 0.86 THEN 'succeeded'
              WHEN ${share(30)} < 0.87 AND b.created_at < ${now} - interval '180 days' THEN 'pending' END
            WHEN b.status = 'cancelled' THEN CASE WHEN ${share(30)} < 0.4 THEN 'refunded' WHEN ${share(30)} < 0.5 THEN 'failed' END
            WHEN b.status = 'expired' THEN CASE WHEN ${share(30)} < 0.15 THEN 'failed' WHEN ${share(30)} < 0.2 THEN 'created' END
            WHEN ${share(30)} < 0.5 THEN 'created'
          END AS status
        FROM bookings b
      ) tried WHERE status IS NOT NULL`,
  };
}

function deliverySteps(
  share: (salt: number) => string,
  digest: (salt: string) => string,
  now: string,
): DataStep[] {
  const fresh = `b.created_at > ${now} - interval '6 hours'`;
  return [
    {
      table: 'webhook_endpoints',
      sql: `INSERT INTO webhook_endpoints (provider_id, url, secret_hash, created_at)
        SELECT id, 'https://hooks.provider-' || id || '.example.com/bookings', sha256(('hook' || id)::bytea), created_at FROM providers ORDER BY id`,
    },
    {
      table: 'calendar_accounts',
      sql: `INSERT INTO calendar_accounts (provider_id, vendor, calendar_ref, status, last_synced_at)
        SELECT id, (ARRAY['google', 'microsoft'])[1 + id % 2], 'calendar-' || id, CASE WHEN id % 25 = 0 THEN 'expired' ELSE 'connected' END,
          ${now} - interval '5 minutes' FROM providers ORDER BY id`,
    },
    {
      table: 'webhook_deliveries',
      sql: `INSERT INTO webhook_deliveries (endpoint_id, booking_id, event, payload, status, attempts, next_attempt_at, last_error, created_at, delivered_at)
        SELECT endpoint, id, event, jsonb_build_object('event', event, 'booking', id, 'slot', slot_id, 'startsAt', starts_at, 'partySize', party_size,
            'price', jsonb_build_object('amount', price_cents, 'currency', currency), 'source', source, 'attempt', digest),
          CASE outcome WHEN 0 THEN 'succeeded' WHEN 1 THEN 'pending' ELSE 'failed' END, (ARRAY[1, 2, 8])[1 + outcome],
          CASE outcome WHEN 1 THEN ${now} + interval '4 minutes' END,
          (ARRAY[NULL, 'connect ETIMEDOUT', 'HTTP 410 Gone'])[1 + outcome], updated_at, CASE outcome WHEN 0 THEN updated_at + interval '2 seconds' END
        FROM (
          SELECT b.*, 1 + (slots.resource_id - 1) / 3 AS endpoint, slots.starts_at, ${digest('delivery')} AS digest,
            CASE WHEN ${share(40)} < 0.008 THEN 2 WHEN ${share(40)} < 0.1 AND ${fresh} THEN 1 ELSE 0 END AS outcome
          FROM bookings b JOIN slots ON slots.id = b.slot_id
        ) told CROSS JOIN LATERAL unnest(
          CASE told.status WHEN 'held' THEN ARRAY['booking.held'] WHEN 'expired' THEN ARRAY['booking.expired'] WHEN 'confirmed' THEN ARRAY['booking.confirmed']
            ELSE ARRAY['booking.confirmed', 'booking.' || told.status] END) event`,
    },
    {
      table: 'calendar_writebacks',
      sql: `INSERT INTO calendar_writebacks (account_id, booking_id, operation, status, external_event_id, attempts, last_error, created_at, finished_at)
        SELECT 1 + (slots.resource_id - 1) / 3, b.id, CASE b.status WHEN 'cancelled' THEN 'delete' ELSE 'create' END,
          CASE WHEN ${share(41)} < 0.004 THEN 'failed' WHEN ${share(41)} < 0.1 AND ${fresh} THEN 'pending' ELSE 'done' END,
          'evt_' || substr(${digest('event')}, 1, 26), 1, CASE WHEN ${share(41)} < 0.004 THEN 'invalid_grant' END, b.updated_at,
          CASE WHEN ${share(41)} < 0.1 AND ${fresh} THEN NULL ELSE b.updated_at + interval '3 seconds' END
        FROM bookings b JOIN slots ON slots.id = b.slot_id
        WHERE b.status IN ('confirmed', 'no_show') AND ${share(42)} < 0.8 OR b.status = 'cancelled' AND ${share(42)} < 0.4`,
    },
  ];
}
