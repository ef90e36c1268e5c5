import { createCorruptionActivities } from '../../../src/activities/recovery/corruption/corruption-activities';
import { recoverySchema } from '../../../src/activities/recovery/settings';
import type { ScratchRef } from '../../../src/contract/place';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../support/postgres';

/** By somebody else: names to be quoted, numbers beyond ours, keys of several kinds. */
const SCHEMA = `
  CREATE SCHEMA "Shop";
  CREATE TABLE "Shop"."Buyers" ("Id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE,
    credit numeric NOT NULL DEFAULT 0, loud text GENERATED ALWAYS AS (upper(name)) STORED);
  CREATE TABLE "Shop".orders (code text PRIMARY KEY, buyer bigint CONSTRAINT of_buyer REFERENCES "Shop"."Buyers" ON DELETE CASCADE,
    total numeric NOT NULL, at timestamptz NOT NULL DEFAULT '2026-01-02 03:04:05.678901+00', seal bytea NOT NULL DEFAULT '\\x00ff');
  CREATE TABLE "Shop".pairs (a int, b int, PRIMARY KEY (a, b));
  CREATE TABLE "Shop".marks (what text);
  INSERT INTO "Shop"."Buyers" (name, credit) SELECT 'b' || n, 12345678901234567890.123456789 FROM generate_series(1, 20) n;
  INSERT INTO "Shop".orders (code, buyer, total) SELECT 'o' || n, n, n FROM generate_series(1, 20) n;
  CREATE FUNCTION "Shop".refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
  CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON "Shop".orders FOR EACH ROW EXECUTE FUNCTION "Shop".refuse();`;
const CHECKS = [
  { name: 'totals', table: 'Shop.orders', sql: 'SELECT code FROM "Shop".orders WHERE total < 0;' },
];
export const BUYERS = '"Shop"."Buyers"';
export const ORDERS = '"Shop".orders';

/** Of the file that runs. */
export let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({ template: SCHEMA });
});
afterAll(() => pg?.stop());

export interface World {
  db: TestDatabase;
  activities: ReturnType<typeof createCorruptionActivities>;
  copy: ScratchRef;
  repair: {
    service: 'shop';
    environment: 'production';
    run: string;
    fence: { target: string; token: number };
  };
}

/** A live database that `spoil` happened to, past its triggers, and a copy from before. */
export async function fresh(spoil: string, corruption: object = {}): Promise<World> {
  const db = await pg.fresh();
  const copy = `${db.name}_copy`;
  await runSql(pg.urlOf('postgres'), `CREATE DATABASE ${copy} TEMPLATE test_template STRATEGY = FILE_COPY`);
  await db.query(`SET session_replication_role = replica; ${spoil}`);
  const { production } = db.deps.config.services['shop']!.environments as unknown as {
    production: Record<string, unknown>;
  };
  production['recovery'] = recoverySchema.parse({
    corruption: { checks: CHECKS, batchRows: 2, ...corruption },
  });
  const fence = { target: 'shop/production', token: 1 };
  return {
    db,
    activities: createCorruptionActivities(db.deps),
    // On the same server: what a copy is made of is no matter here.
    copy: { ...db.place, kind: 'service', database: copy } as unknown as ScratchRef,
    repair: { ...db.place, run: 'run-1', fence },
  };
}

export const compare = ({ activities, db, copy }: World) =>
  runActivity(activities.compareWithCopy, { ...db.place, copy });
export const find = ({ activities, db }: World) =>
  runActivity(activities.findViolations, { database: db.ref });
export const bring = async (world: World, attempt = 1, rows?: Awaited<ReturnType<typeof compare>>['rows']) =>
  runActivity(
    world.activities.bringBackRows,
    { ...world.repair, copy: world.copy, rows: rows ?? (await compare(world)).rows },
    { attempt },
  );
export const undo = ({ activities, repair }: World) =>
  runActivity(activities.undoBringBack, repair, { activityId: '9' });
export const rowsOf = async ({ db }: World) => [
  await db.query(`SELECT t.*::text FROM ${BUYERS} t ORDER BY 1`),
  await db.query(`SELECT t.*::text FROM ${ORDERS} t ORDER BY 1`),
];
export const LOST = `DELETE FROM ${BUYERS} WHERE "Id" IN (3, 4); DELETE FROM ${ORDERS} WHERE code IN ('o7', 'o8', 'o9')`;
export const SPOILED = `UPDATE ${ORDERS} SET total = -1 WHERE code IN ('o1', 'o2'); UPDATE ${ORDERS} SET buyer = 999 WHERE code = 'o5'`;
export const NEWER = `INSERT INTO ${ORDERS} (code, buyer, total) VALUES ('new', 1, 5); UPDATE ${ORDERS} SET total = 77 WHERE code = 'o11'`;
