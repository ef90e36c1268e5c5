-- The database of a booking service. Run as booking_owner in an empty database (roles.sql first):
--
--   createdb --owner=booking_owner booking_production
--   PGOPTIONS='-c role=booking_owner' psql -d booking_production -f schema.sql
--
-- Two halves, as pg_dump writes them: tables first, indexes and foreign keys after the data has been loaded.

CREATE TYPE payment_status AS ENUM ('created', 'pending', 'succeeded', 'failed', 'refunded');

-- Who offers something, and what.

CREATE TABLE providers (
  id         bigint GENERATED ALWAYS AS IDENTITY,
  name       text NOT NULL,
  status     text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'APPROVED', 'SUSPENDED')),
  decided_at timestamptz,
  country    text NOT NULL CHECK (length(country) = 2),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE listings (
  id              bigint GENERATED ALWAYS AS IDENTITY,
  provider_id     bigint NOT NULL,
  title           text NOT NULL,
  status          text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'suspended')),
  property_status text NOT NULL DEFAULT 'PENDING' CHECK (property_status IN ('PENDING', 'APPROVED', 'REJECTED')),
  price_cents     integer NOT NULL CHECK (price_cents >= 0),
  currency        text NOT NULL DEFAULT 'EUR' CHECK (length(currency) = 3),
  published_at    timestamptz,
  created_at      timestamptz NOT NULL DEFAULT now()
);

-- A room, a table, a person. What one costs its provider is none of the application's business: no grant to it.
CREATE TABLE resources (
  id                bigint GENERATED ALWAYS AS IDENTITY,
  listing_id        bigint NOT NULL,
  name              text NOT NULL,
  capacity          integer NOT NULL CHECK (capacity > 0),
  hourly_cost_cents integer NOT NULL DEFAULT 0 CHECK (hourly_cost_cents >= 0)
);

-- One slot is sold to one party; capacity is the largest party that fits.
CREATE TABLE slots (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  resource_id bigint NOT NULL,
  starts_at   timestamptz NOT NULL,
  ends_at     timestamptz NOT NULL,
  capacity    integer NOT NULL CHECK (capacity > 0),
  status      text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'reserved', 'blocked')),
  CONSTRAINT slots_end_after_start CHECK (ends_at > starts_at)
);

-- Who books.

CREATE TABLE customers (
  id         bigint GENERATED ALWAYS AS IDENTITY,
  email      text NOT NULL CHECK (position('@' IN email) > 1),
  full_name  text NOT NULL,
  phone      text,
  locale     text NOT NULL DEFAULT 'en',
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bookings (
  id           uuid NOT NULL DEFAULT gen_random_uuid(),
  customer_id  bigint NOT NULL,
  slot_id      bigint,
  status       text NOT NULL DEFAULT 'held'
               CHECK (status IN ('held', 'confirmed', 'cancelled', 'expired', 'no_show')),
  party_size   smallint NOT NULL DEFAULT 1 CHECK (party_size > 0),
  price_cents  integer NOT NULL CHECK (price_cents >= 0),
  currency     text NOT NULL DEFAULT 'EUR' CHECK (length(currency) = 3),
  source       text NOT NULL DEFAULT 'web' CHECK (source IN ('web', 'phone', 'api', 'walk_in')),
  expires_at   timestamptz,
  confirmed_at timestamptz,
  created_at   timestamptz NOT NULL DEFAULT now(),
  updated_at   timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT bookings_hold_expires CHECK (status <> 'held' OR expires_at IS NOT NULL),
  CONSTRAINT bookings_confirmed_when CHECK (status <> 'confirmed' OR confirmed_at IS NOT NULL)
);

-- Links in e-mails ("cancel", "reschedule"): only the hash of a token is kept.
CREATE TABLE action_tokens (
  id         uuid NOT NULL DEFAULT gen_random_uuid(),
  booking_id uuid NOT NULL,
  purpose    text NOT NULL CHECK (purpose IN ('confirm', 'cancel', 'reschedule')),
  token_hash bytea NOT NULL CHECK (length(token_hash) = 32),
  expires_at timestamptz NOT NULL,
  used_at    timestamptz,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- A request that comes twice gets the first answer again.
CREATE TABLE idempotency_keys (
  key             text NOT NULL,
  scope           text NOT NULL,
  request_hash    text NOT NULL,
  response_status integer,
  response        jsonb,
  created_at      timestamptz NOT NULL DEFAULT now(),
  expires_at      timestamptz NOT NULL
);

CREATE TABLE payments (
  id                   uuid NOT NULL DEFAULT gen_random_uuid(),
  booking_id           uuid NOT NULL,
  provider             text NOT NULL CHECK (provider IN ('stripe', 'razorpay', 'upi')),
  provider_ref         text,
  status               payment_status NOT NULL DEFAULT 'created',
  amount_cents         integer NOT NULL CHECK (amount_cents >= 0),
  currency             text NOT NULL DEFAULT 'EUR' CHECK (length(currency) = 3),
  webhook_payload_hash text,
  created_at           timestamptz NOT NULL DEFAULT now(),
  updated_at           timestamptz NOT NULL DEFAULT now()
);

-- What is told to others.

CREATE TABLE webhook_endpoints (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  provider_id bigint NOT NULL,
  url         text NOT NULL CHECK (url LIKE 'https://%'),
  secret_hash bytea NOT NULL,
  enabled     boolean NOT NULL DEFAULT true,
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE webhook_deliveries (
  id              bigint GENERATED ALWAYS AS IDENTITY,
  endpoint_id     bigint NOT NULL,
  booking_id      uuid NOT NULL,
  event           text NOT NULL,
  payload         jsonb NOT NULL,
  status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
  attempts        smallint NOT NULL DEFAULT 0 CHECK (attempts BETWEEN 0 AND 8),
  next_attempt_at timestamptz,
  last_error      text,
  created_at      timestamptz NOT NULL DEFAULT now(),
  delivered_at    timestamptz,
  CONSTRAINT webhook_deliveries_when CHECK ((status = 'succeeded') = (delivered_at IS NOT NULL))
);

CREATE TABLE calendar_accounts (
  id             bigint GENERATED ALWAYS AS IDENTITY,
  provider_id    bigint NOT NULL,
  vendor         text NOT NULL CHECK (vendor IN ('google', 'microsoft')),
  calendar_ref   text NOT NULL,
  status         text NOT NULL DEFAULT 'connected' CHECK (status IN ('connected', 'expired', 'disconnected')),
  last_synced_at timestamptz
);

CREATE TABLE calendar_writebacks (
  id                bigint GENERATED ALWAYS AS IDENTITY,
  account_id        bigint NOT NULL,
  booking_id        uuid NOT NULL,
  operation         text NOT NULL CHECK (operation IN ('create', 'update', 'delete')),
  status            text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'done', 'failed')),
  external_event_id text,
  attempts          smallint NOT NULL DEFAULT 0,
  last_error        text,
  created_at        timestamptz NOT NULL DEFAULT now(),
  finished_at       timestamptz
);

-- What is remembered.

CREATE TABLE audit_logs (
  id          bigint GENERATED ALWAYS AS IDENTITY,
  entity_type text NOT NULL CHECK (entity_type IN ('booking', 'payment', 'listing', 'provider')),
  entity_id   text NOT NULL,
  action      text NOT NULL,
  source      text NOT NULL CHECK (source IN ('customer', 'provider', 'system', 'operator')),
  details     jsonb NOT NULL DEFAULT '{}',
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE job_runs (
  job         text NOT NULL,
  last_run_at timestamptz NOT NULL,
  processed   integer NOT NULL DEFAULT 0
);

-- ==== after the data ====

ALTER TABLE providers ADD CONSTRAINT providers_pkey PRIMARY KEY (id);
ALTER TABLE listings ADD CONSTRAINT listings_pkey PRIMARY KEY (id);
ALTER TABLE resources ADD CONSTRAINT resources_pkey PRIMARY KEY (id);
ALTER TABLE slots ADD CONSTRAINT slots_pkey PRIMARY KEY (id);
ALTER TABLE customers ADD CONSTRAINT customers_pkey PRIMARY KEY (id);
ALTER TABLE bookings ADD CONSTRAINT bookings_pkey PRIMARY KEY (id);
ALTER TABLE action_tokens ADD CONSTRAINT action_tokens_pkey PRIMARY KEY (id);
ALTER TABLE idempotency_keys ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (scope, key);
ALTER TABLE payments ADD CONSTRAINT payments_pkey PRIMARY KEY (id);
ALTER TABLE webhook_endpoints ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);
ALTER TABLE calendar_accounts ADD CONSTRAINT calendar_accounts_pkey PRIMARY KEY (id);
ALTER TABLE calendar_writebacks ADD CONSTRAINT calendar_writebacks_pkey PRIMARY KEY (id);
ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (id);
ALTER TABLE job_runs ADD CONSTRAINT job_runs_pkey PRIMARY KEY (job);

-- The rule that keeps a slot from being sold twice.
CREATE UNIQUE INDEX idx_bookings_one_confirmed_per_slot ON bookings (slot_id) WHERE status = 'confirmed';
-- And the one that keeps a provider's callback from being applied twice.
CREATE UNIQUE INDEX idx_payments_webhook_payload_hash ON payments (webhook_payload_hash);
CREATE UNIQUE INDEX idx_payments_provider_ref ON payments (provider, provider_ref);
CREATE UNIQUE INDEX idx_customers_email ON customers (lower(email));
CREATE UNIQUE INDEX idx_slots_resource_start ON slots (resource_id, starts_at);
CREATE UNIQUE INDEX idx_action_tokens_hash ON action_tokens (token_hash);

CREATE INDEX idx_listings_provider ON listings (provider_id);
CREATE INDEX idx_resources_listing ON resources (listing_id);
CREATE INDEX idx_slots_open ON slots (starts_at) WHERE status = 'open';
CREATE INDEX idx_bookings_customer ON bookings (customer_id, created_at);
CREATE INDEX idx_bookings_slot ON bookings (slot_id);
CREATE INDEX idx_bookings_held ON bookings (expires_at) WHERE status = 'held';
CREATE INDEX idx_action_tokens_booking ON action_tokens (booking_id);
CREATE INDEX idx_idempotency_keys_expiry ON idempotency_keys (expires_at);
CREATE INDEX idx_payments_booking ON payments (booking_id);
CREATE INDEX idx_webhook_endpoints_provider ON webhook_endpoints (provider_id);
CREATE INDEX idx_webhook_deliveries_booking ON webhook_deliveries (booking_id);
CREATE INDEX idx_calendar_accounts_provider ON calendar_accounts (provider_id);
CREATE INDEX idx_calendar_writebacks_booking ON calendar_writebacks (booking_id);
CREATE INDEX idx_calendar_writebacks_pending ON calendar_writebacks (created_at) WHERE status = 'pending';
CREATE INDEX idx_audit_logs_entity ON audit_logs (entity_type, entity_id);
CREATE INDEX idx_audit_logs_created ON audit_logs USING brin (created_at);

ALTER TABLE listings ADD CONSTRAINT listings_provider_fk FOREIGN KEY (provider_id) REFERENCES providers (id);
ALTER TABLE resources ADD CONSTRAINT resources_listing_fk FOREIGN KEY (listing_id) REFERENCES listings (id);
ALTER TABLE slots ADD CONSTRAINT slots_resource_fk FOREIGN KEY (resource_id) REFERENCES resources (id);
ALTER TABLE bookings ADD CONSTRAINT bookings_customer_fk FOREIGN KEY (customer_id) REFERENCES customers (id);
-- A slot that is withdrawn leaves its past bookings behind without one; a confirmed one must not lose it.
ALTER TABLE bookings ADD CONSTRAINT bookings_slot_fk
  FOREIGN KEY (slot_id) REFERENCES slots (id) ON DELETE SET NULL;
ALTER TABLE action_tokens ADD CONSTRAINT action_tokens_booking_fk
  FOREIGN KEY (booking_id) REFERENCES bookings (id) ON DELETE CASCADE;
ALTER TABLE payments ADD CONSTRAINT payments_booking_fk FOREIGN KEY (booking_id) REFERENCES bookings (id);
ALTER TABLE webhook_endpoints ADD CONSTRAINT webhook_endpoints_provider_fk
  FOREIGN KEY (provider_id) REFERENCES providers (id);
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_endpoint_fk
  FOREIGN KEY (endpoint_id) REFERENCES webhook_endpoints (id);
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_booking_fk
  FOREIGN KEY (booking_id) REFERENCES bookings (id);
ALTER TABLE calendar_accounts ADD CONSTRAINT calendar_accounts_provider_fk
  FOREIGN KEY (provider_id) REFERENCES providers (id);
ALTER TABLE calendar_writebacks ADD CONSTRAINT calendar_writebacks_account_fk
  FOREIGN KEY (account_id) REFERENCES calendar_accounts (id);
ALTER TABLE calendar_writebacks ADD CONSTRAINT calendar_writebacks_booking_fk
  FOREIGN KEY (booking_id) REFERENCES bookings (id);

-- A booking that ended stays ended, and only a hold becomes confirmed.
CREATE FUNCTION check_booking_transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status <> OLD.status AND NOT (
    (OLD.status = 'held' AND NEW.status IN ('confirmed', 'cancelled', 'expired'))
    OR (OLD.status = 'confirmed' AND NEW.status IN ('cancelled', 'no_show'))
  ) THEN
    RAISE EXCEPTION 'booking % cannot go from % to %', OLD.id, OLD.status, NEW.status USING ERRCODE = 'check_violation';
  END IF;
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

CREATE TRIGGER bookings_transition BEFORE UPDATE ON bookings
  FOR EACH ROW EXECUTE FUNCTION check_booking_transition();

-- The gate: only what an approved provider offers, with an approved property, is published.
CREATE FUNCTION check_publishing_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status = 'published' AND NOT (NEW.property_status = 'APPROVED' AND EXISTS (
    SELECT FROM providers WHERE id = NEW.provider_id AND status = 'APPROVED'
  )) THEN
    RAISE EXCEPTION 'listing % is not approved, so it is not published', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;

CREATE TRIGGER listings_gate BEFORE INSERT OR UPDATE ON listings
  FOR EACH ROW EXECUTE FUNCTION check_publishing_gate();

-- The hold-expiry job: ends what has run out, frees its slots, returns how many holds it ended.
CREATE FUNCTION expire_held_bookings() RETURNS integer LANGUAGE sql AS $$
  WITH ended AS (
    UPDATE bookings SET status = 'expired'
    WHERE id IN (SELECT id FROM bookings WHERE status = 'held' AND expires_at <= now() FOR UPDATE SKIP LOCKED)
    RETURNING id, slot_id
  ), freed AS (
    UPDATE slots SET status = 'open' WHERE id IN (SELECT slot_id FROM ended) AND status = 'reserved'
  ), revoked AS (
    UPDATE action_tokens SET used_at = now() WHERE booking_id IN (SELECT id FROM ended) AND used_at IS NULL
  ), logged AS (
    INSERT INTO audit_logs (entity_type, entity_id, action, source)
    SELECT 'booking', id::text, 'booking_expired', 'system' FROM ended
  ), noted AS (
    INSERT INTO job_runs (job, last_run_at, processed) SELECT 'expire_bookings', now(), count(*) FROM ended
    ON CONFLICT (job) DO UPDATE SET last_run_at = excluded.last_run_at, processed = excluded.processed
  )
  SELECT count(*)::integer FROM ended
$$;

-- What can be booked from now on. It lends the application what it may not read itself: the rooms' rows.
CREATE VIEW slot_availability AS
SELECT slots.id AS slot_id, slots.resource_id, resources.listing_id, slots.starts_at, slots.ends_at,
  slots.capacity, listings.title, listings.price_cents, listings.currency
FROM slots
JOIN resources ON resources.id = slots.resource_id
JOIN listings ON listings.id = resources.listing_id
WHERE slots.status = 'open' AND slots.starts_at > now() AND listings.status = 'published';

-- The application appends to the audit trail and reads what concerns bookings; the rest is the owner's.
ALTER TABLE audit_logs ENABLE ROW LEVEL SECURITY;
CREATE POLICY audit_append ON audit_logs FOR INSERT TO booking_app, runbooks_repair, runbooks_payments,
  runbooks_listings WITH CHECK (true);
CREATE POLICY audit_read_bookings ON audit_logs FOR SELECT TO booking_app USING (entity_type = 'booking');

GRANT SELECT ON providers, listings, webhook_endpoints, slot_availability TO booking_app;
GRANT SELECT, INSERT, UPDATE ON slots, customers, bookings, action_tokens, idempotency_keys, payments,
  webhook_deliveries, calendar_accounts, calendar_writebacks, job_runs TO booking_app;
GRANT DELETE ON idempotency_keys TO booking_app;
GRANT SELECT, INSERT ON audit_logs TO booking_app;

-- What a repair of rows may touch. The trigger sets updated_at; an undo sets it back.
GRANT SELECT, UPDATE (status, updated_at) ON bookings TO runbooks_repair;
GRANT SELECT, UPDATE (status) ON slots TO runbooks_repair;
GRANT SELECT, UPDATE (used_at) ON action_tokens TO runbooks_repair;
GRANT INSERT ON audit_logs TO runbooks_repair;
GRANT SELECT, UPDATE (status, updated_at) ON payments TO runbooks_payments;
GRANT INSERT ON audit_logs TO runbooks_payments;
GRANT SELECT, UPDATE (status) ON listings TO runbooks_listings;
GRANT SELECT ON providers TO runbooks_listings;
GRANT INSERT ON audit_logs TO runbooks_listings;
