-- Appointments: hosts with calendars of others, bookings with links to act on them, and what goes out because of them.

CREATE TABLE hosts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  -- Every day, in UTC. An appointment takes half an hour.
  opens time NOT NULL DEFAULT '08:00',
  closes time NOT NULL DEFAULT '18:00',
  CHECK (opens < closes)
);

CREATE TABLE bookings (
  id uuid PRIMARY KEY,
  host_id bigint NOT NULL REFERENCES hosts (id),
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  guest_name text NOT NULL,
  guest_email text NOT NULL,
  status text NOT NULL DEFAULT 'confirmed' CHECK (status IN ('confirmed', 'cancelled')),
  created_at timestamptz NOT NULL DEFAULT now(),
  CHECK (starts_at < ends_at)
);
-- The rule that keeps a time from being given twice.
CREATE UNIQUE INDEX idx_bookings_one_per_time ON bookings (host_id, starts_at) WHERE status = 'confirmed';

-- Links in e-mails. Only their hashes are here.
CREATE TABLE action_tokens (
  token_hash bytea PRIMARY KEY,
  booking_id uuid NOT NULL REFERENCES bookings (id) ON DELETE CASCADE,
  purpose text NOT NULL CHECK (purpose IN ('cancel')),
  expires_at timestamptz NOT NULL,
  used_at timestamptz
);
CREATE INDEX idx_action_tokens_booking ON action_tokens (booking_id);

CREATE TABLE idempotency_keys (
  key text PRIMARY KEY,
  request_hash text NOT NULL,
  booking_id uuid NOT NULL REFERENCES bookings (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_idempotency_keys_booking ON idempotency_keys (booking_id);

CREATE TABLE webhook_endpoints (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host_id bigint NOT NULL REFERENCES hosts (id),
  url text NOT NULL,
  secret_hash bytea NOT NULL
);
CREATE INDEX idx_webhook_endpoints_host ON webhook_endpoints (host_id);

CREATE TABLE webhook_deliveries (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint_id bigint NOT NULL REFERENCES webhook_endpoints (id),
  booking_id uuid NOT NULL REFERENCES bookings (id),
  event text NOT NULL,
  payload jsonb NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
  attempts integer NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 8),
  last_error text,
  next_attempt_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  delivered_at timestamptz
);
CREATE INDEX idx_webhook_deliveries_pending ON webhook_deliveries (next_attempt_at) WHERE status = 'pending';
CREATE INDEX idx_webhook_deliveries_booking ON webhook_deliveries (booking_id);
CREATE INDEX idx_webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id);

CREATE TABLE calendar_connections (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  host_id bigint NOT NULL REFERENCES hosts (id),
  provider text NOT NULL CHECK (provider IN ('google', 'microsoft')),
  status text NOT NULL DEFAULT 'disconnected' CHECK (status IN ('connected', 'expired', 'disconnected')),
  refresh_token text,
  last_sync_at timestamptz,
  last_error text,
  UNIQUE (host_id, provider)
);

-- What a host is busy with elsewhere, as of the last sync.
CREATE TABLE calendar_events (
  connection_id bigint NOT NULL REFERENCES calendar_connections (id),
  external_id text NOT NULL,
  starts_at timestamptz NOT NULL,
  ends_at timestamptz NOT NULL,
  PRIMARY KEY (connection_id, external_id)
);

-- What has to be entered there, or taken out.
CREATE TABLE calendar_writebacks (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  connection_id bigint NOT NULL REFERENCES calendar_connections (id),
  booking_id uuid NOT NULL REFERENCES bookings (id),
  action text NOT NULL CHECK (action IN ('create', 'delete')),
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done')),
  -- What the provider calls the event.
  external_id text,
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (connection_id, booking_id, action)
);
CREATE INDEX idx_calendar_writebacks_pending ON calendar_writebacks (connection_id, id) WHERE status = 'pending';
CREATE INDEX idx_calendar_writebacks_booking ON calendar_writebacks (booking_id);

CREATE TABLE email_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  booking_id uuid NOT NULL REFERENCES bookings (id),
  kind text NOT NULL CHECK (kind IN ('confirmation', 'cancellation')),
  recipient text NOT NULL,
  status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sent')),
  last_error text,
  created_at timestamptz NOT NULL DEFAULT now(),
  sent_at timestamptz
);
CREATE INDEX idx_email_outbox_pending ON email_outbox (id) WHERE status = 'pending';
CREATE INDEX idx_email_outbox_booking ON email_outbox (booking_id);

GRANT SELECT ON hosts, webhook_endpoints TO appointments_app;
GRANT SELECT, INSERT, UPDATE ON bookings, action_tokens, idempotency_keys, webhook_deliveries, calendar_connections,
  calendar_writebacks, email_outbox TO appointments_app;
GRANT SELECT, INSERT, DELETE ON calendar_events TO appointments_app;
