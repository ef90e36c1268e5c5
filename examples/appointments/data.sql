-- Three hosts, and three hundred appointments that are over: what they sent out was taken long ago.
INSERT INTO hosts (name) VALUES ('Ana'), ('Ben'), ('Chloe');

INSERT INTO calendar_connections (host_id, provider)
SELECT id, CASE name WHEN 'Ben' THEN 'microsoft' ELSE 'google' END FROM hosts ORDER BY id;

-- Each host has a program of their own that wants to hear of bookings. The secret is what it was given then.
INSERT INTO webhook_endpoints (host_id, url, secret_hash)
SELECT id, format('https://hooks.host-%s.example.com/bookings', id), sha256(convert_to('hook' || id, 'UTF8'))
FROM hosts ORDER BY id;

INSERT INTO bookings (id, host_id, starts_at, ends_at, guest_name, guest_email, status, created_at)
SELECT md5('appointment' || n)::uuid, 1 + n % 3, starts_at, starts_at + interval '30 min', 'Guest ' || n,
  'guest-' || n || '@example.com', CASE WHEN n % 10 = 0 THEN 'cancelled' ELSE 'confirmed' END, starts_at - interval '7 days'
FROM generate_series(1, 300) AS n,
  LATERAL (SELECT date_trunc('day', now()) - (n / 10 + 1) * interval '1 day' + (16 + n % 10) * interval '30 min' AS starts_at) AS at;

INSERT INTO action_tokens (token_hash, booking_id, purpose, expires_at, used_at)
SELECT sha256(convert_to(id::text, 'UTF8')), id, 'cancel', starts_at, CASE status WHEN 'cancelled' THEN created_at END FROM bookings;

INSERT INTO idempotency_keys (key, request_hash, booking_id, created_at)
SELECT 'key-' || id, md5(id::text), id, created_at FROM bookings;

INSERT INTO webhook_deliveries (endpoint_id, booking_id, event, payload, status, attempts, created_at, delivered_at)
SELECT webhook_endpoints.id, bookings.id, 'booking.created', jsonb_build_object('booking', bookings.id), 'succeeded', 1, created_at, created_at
FROM bookings JOIN webhook_endpoints USING (host_id);

INSERT INTO calendar_writebacks (connection_id, booking_id, action, status, external_id, created_at)
SELECT calendar_connections.id, bookings.id, 'create', 'done', 'old' || replace(bookings.id::text, '-', ''), created_at
FROM bookings JOIN calendar_connections USING (host_id);

INSERT INTO email_outbox (booking_id, kind, recipient, status, created_at, sent_at)
SELECT id, 'confirmation', guest_email, 'sent', created_at, created_at FROM bookings;
