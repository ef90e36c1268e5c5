/** The sample's schema with a few slots, another application's schema, and ways to spoil their bookings. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createBookingActivities } from '../../../src/activities/bookings';
import type { Conflict, Resolution } from '../../../src/activities/bookings/double-bookings';
import { bookingsSchema } from '../../../src/activities/bookings/settings';
import { PACKAGE_ROOT } from '../../../src/config/version';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../support/postgres';

const sample = (name: string) => readFileSync(join(PACKAGE_ROOT, 'examples', 'booking', name), 'utf8');
const PASSWORD = 'migrator-test';

export interface World {
  db: TestDatabase;
  activities: ReturnType<typeof createBookingActivities>;
  /** Of a repair: the fence of the first lease. */
  repair: {
    service: 'shop';
    environment: 'production';
    run: string;
    fence: { target: string; token: number };
  };
}

export async function startBookingServer(): Promise<TestPostgres> {
  const pg = await startTestPostgres();
  await runSql(pg.urlOf('postgres'), sample('roles.sql'));
  await runSql(pg.urlOf('postgres'), `ALTER ROLE runbooks_migrator PASSWORD '${PASSWORD}'`);
  await runSql(
    pg.urlOf('test_template'),
    `GRANT ALL ON SCHEMA public TO booking_owner; SET ROLE booking_owner; ${sample('schema.sql')}
     INSERT INTO providers (name, status, country) VALUES ('p', 'APPROVED', 'DE');
     INSERT INTO listings (provider_id, title, status, property_status, price_cents) VALUES (1, 'l', 'published', 'APPROVED', 1000);
     INSERT INTO resources (listing_id, name, capacity) VALUES (1, 'r', 4);
     INSERT INTO slots (resource_id, starts_at, ends_at, capacity)
       SELECT 1, now() + n * interval '1 h', now() + n * interval '1 h' + interval '30 min', 4 FROM generate_series(1, 60) n;
     INSERT INTO customers (email, full_name) SELECT n || '@example.test', 'c' || n FROM generate_series(1, 5) n;`,
  );
  return pg;
}

const SAMPLE = {
  role: 'runbooks_repair',
  tables: {
    bookings: { columns: { confirmedAt: 'confirmed_at', expiresAt: 'expires_at', customer: 'customer_id' } },
    slots: {},
    links: {},
    audit: { columns: { entityType: 'entity_type', source: 'source', details: 'details' } },
  },
  uniqueIndex: 'idx_bookings_one_confirmed_per_slot',
};

const OWNED = `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO booking_owner', current_database()); END $$;`;

export async function freshWorld(pg: TestPostgres, bookings: object = {}, sql = ''): Promise<World> {
  const db = await pg.fresh({
    role: { user: 'runbooks_migrator', password: PASSWORD },
    sql: `${OWNED} ${sql}`,
  });
  const shop = db.deps.config.services['shop'] as unknown as Record<string, unknown>;
  shop['bookings'] = bookingsSchema.parse({ ...SAMPLE, ...bookings });
  const fence = { target: 'shop/production', token: 1 };
  return { db, activities: createBookingActivities(db.deps), repair: { ...db.place, run: 'run-1', fence } };
}

/** Slots `from` to `to`, each with that many confirmed bookings and links, the first one confirmed first. */
export async function sellOften({ db }: World, from: number, to: number, times = 2): Promise<void> {
  await db.query(
    `DROP INDEX IF EXISTS idx_bookings_one_confirmed_per_slot;
     UPDATE slots SET status = 'reserved' WHERE id BETWEEN ${from} AND ${to};
     INSERT INTO bookings (customer_id, slot_id, status, price_cents, confirmed_at)
       SELECT n, s, 'confirmed', 1000, now() - interval '1 day' + n * interval '1 min'
         FROM generate_series(${from}, ${to}) s, generate_series(1, ${times}) n;
     INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
       SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '1 day' FROM bookings WHERE slot_id BETWEEN ${from} AND ${to}
     ON CONFLICT DO NOTHING`,
  );
}

/** A hold of each of these slots that ran out half an hour ago. Returns the bookings, by slot. */
export async function leaveHolds({ db }: World, from: number, to = from): Promise<string[]> {
  const rows = await db.query<{ id: string }>(
    `WITH free AS (UPDATE slots SET status = 'reserved' WHERE id BETWEEN ${from} AND ${to} RETURNING id),
       held AS (INSERT INTO bookings (customer_id, slot_id, price_cents, expires_at)
                SELECT 1, id, 1000, now() - interval '30 min' FROM free RETURNING id, slot_id),
       links AS (INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
                 SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '1 day' FROM held)
     SELECT id FROM held ORDER BY slot_id`,
  );
  return rows.map(({ id }) => id);
}

/** Every row of what a repair may touch, without the audit trail, which only grows. */
export async function rowsOf({ db }: World): Promise<unknown> {
  const all = (table: string) => db.query(`SELECT t.*::text FROM ${table} t ORDER BY 1`);
  return {
    bookings: await all('bookings'),
    slots: await all('slots'),
    links: await all('action_tokens'),
    payments: await all('payments'),
  };
}

export function auditOf({ db }: World) {
  return db.query<{ entity_id: string; action: string; source: string; details: Record<string, string> }>(
    'SELECT entity_id, action, source, details FROM audit_logs ORDER BY id',
  );
}

/** An application by somebody else: an object mapper's names, no time zones, an enum, numbers as keys. */
export const OTHER_SCHEMA = `
  CREATE SCHEMA "Shop"; GRANT ALL ON SCHEMA "Shop" TO booking_owner; GRANT USAGE ON SCHEMA "Shop" TO runbooks_repair;
  SET ROLE booking_owner;
  CREATE TYPE "Shop"."State" AS ENUM ('HOLD', 'CONFIRMED', 'CANCELLED', 'EXPIRED');
  CREATE TABLE "Shop"."Unit" ("unitId" serial PRIMARY KEY, "state" varchar(20) NOT NULL DEFAULT 'FREE');
  CREATE TABLE "Shop"."Reservation" ("no" bigserial PRIMARY KEY, "unit" int REFERENCES "Shop"."Unit", "State" "Shop"."State" NOT NULL,
    "expiresAt" timestamp(3), "order" timestamp(3) NOT NULL DEFAULT now());
  CREATE INDEX ON "Shop"."Reservation" ("unit");
  CREATE TABLE "Shop"."Trail" ("id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "of" bigint NOT NULL, "what" varchar(40) NOT NULL);
  INSERT INTO "Shop"."Unit" ("state") VALUES ('TAKEN'), ('TAKEN');
  INSERT INTO "Shop"."Reservation" ("unit", "State", "order") VALUES (1, 'CONFIRMED', '2026-01-02'), (1, 'CONFIRMED', '2026-01-01');
  INSERT INTO "Shop"."Reservation" ("unit", "State", "expiresAt") VALUES (2, 'HOLD', (now() AT TIME ZONE 'UTC') - interval '10 min');
  INSERT INTO "Shop"."Reservation" ("unit", "State", "expiresAt") VALUES (2, 'HOLD', (now() AT TIME ZONE 'UTC') + interval '10 min');
  GRANT SELECT, UPDATE ("State") ON "Shop"."Reservation" TO runbooks_repair;
  GRANT SELECT, UPDATE ("state") ON "Shop"."Unit" TO runbooks_repair;
  GRANT INSERT ON "Shop"."Trail" TO runbooks_repair;
  RESET ROLE;
  REVOKE ALL ON public.bookings, public.slots, public.action_tokens, public.audit_logs FROM runbooks_repair;
  SET timezone = 'America/New_York';`;

export const OTHER = {
  tables: {
    bookings: {
      schema: 'Shop',
      table: 'Reservation',
      columns: { id: 'no', slot: 'unit', status: 'State', createdAt: 'order', expiresAt: 'expiresAt' },
    },
    slots: { schema: 'Shop', table: 'Unit', columns: { id: 'unitId', status: 'state' } },
    audit: { schema: 'Shop', table: 'Trail', columns: { entity: 'of', action: 'what' } },
  },
  states: {
    held: 'HOLD',
    confirmed: 'CONFIRMED',
    cancelled: 'CANCELLED',
    expired: 'EXPIRED',
    open: 'FREE',
    reserved: 'TAKEN',
  },
  uniqueIndex: 'one sale a "unit"',
};

export const findDoubled = ({ activities, db }: World) =>
  runActivity(activities.findDoubleBookings, db.place);
/** As the default rule of the sample decides. */
export const firstStays = (conflicts: Conflict[]): Resolution[] =>
  conflicts.map(({ slot, bookings: [keep, ...cancel] }) => ({ slot, keep: keep!, cancel }));
export const cancelDoubled = ({ activities, repair }: World, resolutions: Resolution[], attempt = 1) =>
  runActivity(activities.cancelDoubleBookings, { ...repair, resolutions }, { attempt });
export const undoRepair = ({ activities, repair }: World, step: string) =>
  runActivity(activities.undoBookingRepair, { ...repair, step }, { activityId: '9' });
export const lookForHolds = ({ activities, db }: World) => runActivity(activities.findStuckHolds, db.place);
export const releaseHolds = async (world: World, attempt = 1) => {
  const { cutoff } = await lookForHolds(world);
  return runActivity(world.activities.releaseStuckHolds, { ...world.repair, cutoff, most: 100 }, { attempt });
};
export const statesOf = ({ db }: World, slot: number) =>
  db.query<{ status: string }>(`SELECT status FROM bookings WHERE slot_id = ${slot} ORDER BY confirmed_at`);

/** Sessions of customers, beside those of activities, which end with their test. */
export function useCustomers(pg: TestPostgres): (world: World) => Promise<Client> {
  const clients: Client[] = [];
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.end()));
  });
  return async ({ db }) => {
    const client = new Client({ connectionString: pg.urlOf(db.name), application_name: 'customer' });
    clients.push(client);
    await client.connect();
    return client;
  };
}
