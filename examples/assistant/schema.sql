-- The database of an assistant that answers the telephone for small businesses, and books. Run as assistant_owner.

-- Businesses; "all clients are affected" is a matter of how many of these.
CREATE TABLE clients (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name         text NOT NULL,
  calendar_id  text NOT NULL UNIQUE,
  created_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE callers (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client_id  bigint NOT NULL REFERENCES clients,
  phone      text NOT NULL CHECK (phone ~ '^\+[0-9]{8,15}$'),
  UNIQUE (client_id, phone)
);

-- One for each call that VAPI tells of; it may tell twice.
CREATE TABLE calls (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client_id    bigint NOT NULL REFERENCES clients,
  caller_id    bigint NOT NULL REFERENCES callers,
  vapi_call_id text NOT NULL UNIQUE,
  ended_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE bookings (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client_id        bigint NOT NULL REFERENCES clients,
  call_id          bigint NOT NULL REFERENCES calls,
  starts_at        timestamptz NOT NULL,
  status           text NOT NULL DEFAULT 'confirmed' CHECK (status IN ('confirmed', 'cancelled')),
  google_event_id  text,
  created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX bookings_one_confirmed ON bookings (client_id, starts_at) WHERE status = 'confirmed';
CREATE INDEX bookings_call ON bookings (call_id);

-- Texts that Twilio sends.
CREATE TABLE messages (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  booking_id  bigint NOT NULL REFERENCES bookings,
  twilio_sid  text NOT NULL UNIQUE,
  sent_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX messages_booking ON messages (booking_id);

CREATE TABLE audit_logs (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action      text NOT NULL,
  actor       text NOT NULL,
  address     text,
  created_at  timestamptz NOT NULL DEFAULT now()
);

-- What callers said, in short. The application has no right to read it: the feature that does is not finished.
CREATE TABLE call_summaries (
  call_id  bigint PRIMARY KEY REFERENCES calls,
  summary  text NOT NULL
);

GRANT SELECT ON clients, callers, calls, bookings, messages TO assistant_app;
GRANT INSERT ON calls, bookings, messages, audit_logs TO assistant_app;
GRANT UPDATE (status) ON bookings TO assistant_app;

GRANT SELECT, INSERT, UPDATE, DELETE ON clients, callers, calls, bookings, messages TO assistant_repair;

-- ==== the data ====

INSERT INTO clients (name, calendar_id) VALUES
  ('Hair by Ida', 'ida@calendar.example'), ('Paws and Claws', 'paws@calendar.example'),
  ('Dr. Okafor, dentist', 'okafor@calendar.example'), ('Green Bikes', 'bikes@calendar.example');
INSERT INTO callers (client_id, phone)
  SELECT 1 + n % 4, '+4930' || lpad(n::text, 8, '0') FROM generate_series(1, 120) AS n;
INSERT INTO calls (client_id, caller_id, vapi_call_id, ended_at)
  SELECT client_id, callers.id, 'call-' || n, now() - n * interval '3 hours'
  FROM generate_series(1, 300) AS n JOIN callers ON callers.id = 1 + n % 120;
INSERT INTO bookings (client_id, call_id, starts_at, google_event_id, created_at)
  SELECT client_id, id, date_trunc('hour', ended_at) + interval '2 days', 'event-' || id, ended_at FROM calls;
INSERT INTO messages (booking_id, twilio_sid, sent_at)
  SELECT id, 'SM' || md5(id::text), created_at FROM bookings;
INSERT INTO audit_logs (action, actor, created_at)
  SELECT 'booking_created', 'assistant', created_at FROM bookings;
