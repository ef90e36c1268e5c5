-- The database of the travel service, with a few hundred rows. Run as travel_owner in an empty database (roles.sql first).

CREATE TABLE users (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email       text NOT NULL UNIQUE,
  password    text NOT NULL,
  "createdAt" timestamptz NOT NULL DEFAULT now()
);

-- Who offers packages, and where they lead. Both are looked at by a person before anything of theirs is published.
CREATE TABLE providers (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text NOT NULL,
  status      text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'APPROVED', 'SUSPENDED')),
  "decidedAt" timestamptz
);

CREATE TABLE properties (
  id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "providerId"    bigint NOT NULL REFERENCES providers,
  name            text NOT NULL,
  "profileStatus" text NOT NULL DEFAULT 'PENDING' CHECK ("profileStatus" IN ('PENDING', 'APPROVED', 'REJECTED'))
);

CREATE TABLE packages (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "providerId"  bigint NOT NULL REFERENCES providers,
  "propertyId"  bigint NOT NULL REFERENCES properties,
  title         text NOT NULL,
  place         text NOT NULL,
  "priceCents"  integer NOT NULL CHECK ("priceCents" >= 0),
  currency      text NOT NULL DEFAULT 'EUR' CHECK (length(currency) = 3),
  status        text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'suspended')),
  "publishedAt" timestamptz
);
CREATE INDEX ON packages ("providerId");
CREATE INDEX ON packages ("propertyId");

-- What is sold: a departure of a package. `sold` is what the ledger below adds up to.
CREATE TABLE inventory_units (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "packageId" bigint NOT NULL REFERENCES packages,
  "startsOn"  date NOT NULL,
  capacity    integer NOT NULL CHECK (capacity > 0),
  sold        integer NOT NULL DEFAULT 0 CHECK (sold >= 0),
  UNIQUE ("packageId", "startsOn")
);

-- What a hold keeps from others until it is confirmed or runs out.
CREATE TABLE inventory_locks (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "unitId" bigint NOT NULL REFERENCES inventory_units,
  units    integer NOT NULL CHECK (units > 0),
  status   text NOT NULL DEFAULT 'LOCKED' CHECK (status IN ('LOCKED', 'RELEASED'))
);
CREATE INDEX ON inventory_locks ("unitId") WHERE status = 'LOCKED';

CREATE TABLE bookings (
  id            uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "userId"      bigint NOT NULL REFERENCES users,
  "unitId"      bigint NOT NULL REFERENCES inventory_units,
  "lockId"      bigint NOT NULL REFERENCES inventory_locks,
  status        text NOT NULL DEFAULT 'HOLD' CHECK (status IN ('HOLD', 'CONFIRMED', 'CANCELLED', 'EXPIRED')),
  units         integer NOT NULL CHECK (units > 0),
  "priceCents"  integer NOT NULL CHECK ("priceCents" >= 0),
  currency      text NOT NULL DEFAULT 'EUR',
  "expiresAt"   timestamptz,
  "createdAt"   timestamptz NOT NULL DEFAULT now(),
  "confirmedAt" timestamptz,
  -- Of the request that made it, as Redis has it.
  "requestKey"  text
);
CREATE INDEX ON bookings ("unitId");
CREATE INDEX ON bookings ("userId");
CREATE INDEX ON bookings ("lockId");
CREATE INDEX ON bookings ("expiresAt") WHERE status = 'HOLD';

-- Units that were sold, or given back as a negative number. Rows are only added.
CREATE TABLE inventory_ledger (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "unitId"    bigint NOT NULL REFERENCES inventory_units,
  "bookingId" uuid NOT NULL REFERENCES bookings,
  units       integer NOT NULL,
  "createdAt" timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON inventory_ledger ("unitId");
CREATE INDEX ON inventory_ledger ("bookingId");

-- Events of the payment provider as they came, those that could not be applied too.
CREATE TABLE webhook_events (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "eventId"     text NOT NULL UNIQUE,
  type          text NOT NULL,
  body          text NOT NULL,
  signature     text NOT NULL,
  "payloadHash" text NOT NULL,
  status        text NOT NULL CHECK (status IN ('failed', 'processed')),
  "lastError"   text,
  "receivedAt"  timestamptz NOT NULL DEFAULT now()
);

-- Money that came in, and what providers get of it.
CREATE TABLE ledger_entries (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "eventId"     text NOT NULL UNIQUE,
  "bookingId"   uuid NOT NULL REFERENCES bookings,
  "amountCents" integer NOT NULL,
  "createdAt"   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON ledger_entries ("bookingId");

CREATE TABLE payout_jobs (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "bookingId"   uuid NOT NULL REFERENCES bookings,
  "amountCents" integer NOT NULL,
  status        text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'paid')),
  "runAt"       timestamptz NOT NULL
);
CREATE INDEX ON payout_jobs ("bookingId");

CREATE TABLE audit_logs (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  "entityType" text NOT NULL,
  "entityId"   text NOT NULL,
  action       text NOT NULL,
  source       text NOT NULL,
  details      jsonb,
  "createdAt"  timestamptz NOT NULL DEFAULT now()
);

-- The gate: a package is published only where its provider and its property are approved.
CREATE FUNCTION check_publishing_gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status = 'published' AND NOT (
    EXISTS (SELECT FROM providers WHERE id = NEW."providerId" AND status = 'APPROVED')
    AND EXISTS (SELECT FROM properties WHERE id = NEW."propertyId" AND "profileStatus" = 'APPROVED')
  ) THEN
    RAISE EXCEPTION 'package % is not approved, so it is not published', NEW.id USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER packages_gate BEFORE INSERT OR UPDATE ON packages
  FOR EACH ROW EXECUTE FUNCTION check_publishing_gate();

GRANT SELECT ON providers, properties, packages TO travel_app;
GRANT SELECT, INSERT, UPDATE ON users, inventory_units, inventory_locks, bookings, webhook_events, payout_jobs TO travel_app;
GRANT SELECT, INSERT ON inventory_ledger, ledger_entries, audit_logs TO travel_app;

-- What repairs of rows may touch.
GRANT SELECT, UPDATE (status) ON bookings, inventory_locks TO travel_holds;
GRANT SELECT, UPDATE (sold) ON inventory_units TO travel_inventory;
GRANT SELECT ON inventory_ledger, bookings TO travel_inventory;
GRANT SELECT, UPDATE (status) ON packages TO travel_listings;
GRANT SELECT ON providers, properties TO travel_listings;
GRANT INSERT ON audit_logs TO travel_holds, travel_inventory, travel_listings;

-- Five providers with twelve packages each, and six departures of every package.
INSERT INTO providers (name, status, "decidedAt")
SELECT (ARRAY['Atlas Trails', 'Baltic Sails', 'Castile Walks', 'Dolomite Huts', 'Ebro Rafting'])[n], 'APPROVED', now() - interval '90 days'
FROM generate_series(1, 5) n;
INSERT INTO properties ("providerId", name, "profileStatus")
SELECT id, name || ' Lodge', 'APPROVED' FROM providers ORDER BY id;
INSERT INTO packages ("providerId", "propertyId", title, place, "priceCents", status, "publishedAt")
SELECT properties."providerId", properties.id,
  (ARRAY['Weekend', 'Family week', 'Long walk', 'Wine tour', 'Night sky', 'Cooking course'])[1 + n % 6] || ' ' || n,
  (ARRAY['Marrakesh', 'Tallinn', 'Segovia', 'Bolzano', 'Zaragoza'])[properties.id], 9900 + n * 1500, 'published', now() - interval '60 days'
FROM properties, generate_series(1, 12) n ORDER BY properties.id, n;
INSERT INTO inventory_units ("packageId", "startsOn", capacity)
SELECT packages.id, current_date + 14 * n, 8 FROM packages, generate_series(1, 6) n ORDER BY packages.id, n;
