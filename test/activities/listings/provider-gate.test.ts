import { Client } from 'pg';
import { createListingActivities } from '../../../src/activities/listings';
import { environmentListingsSchema, listingsSchema } from '../../../src/activities/listings/settings';
import { listingsText } from '../../../src/workflows/listings/audit-provider-gate/plan';
import { failureOf, runActivity, type TestPostgres } from '../../support/postgres';
import { auditOf, freshWorld, startBookingServer, type World } from '../bookings/bookings-world';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startBookingServer();
});
afterAll(() => pg?.stop());

const SAMPLE = {
  role: 'runbooks_listings',
  tables: {
    listings: { columns: { profileStatus: 'property_status', publishedAt: 'published_at' } },
    providers: { columns: { decidedAt: 'decided_at' } },
    audit: { columns: { entityType: 'entity_type', source: 'source', details: 'details' } },
  },
};
const GATE = {
  sql: `SELECT CASE WHEN tgenabled = 'D' THEN 'off' ELSE 'on' END FROM pg_trigger WHERE tgname = 'listings_gate'`,
};

/** Listing 1 is well. Of providers nobody approved: 2 and 3; 4 has a property that was rejected since; 5 and 6 are not on sale. */
const SPOILT = `
  ALTER TABLE listings DISABLE TRIGGER listings_gate; UPDATE providers SET decided_at = now() - interval '90 days';
  INSERT INTO providers (name, status, country, decided_at) VALUES ('q', 'PENDING', 'DE', now() - interval '2 days'), ('r', 'SUSPENDED', 'DE', now());
  INSERT INTO listings (provider_id, title, status, property_status, price_cents, published_at) VALUES
    (2, 'l2', 'published', 'APPROVED', 1, now() - interval '1 day'), (3, 'l3', 'published', 'APPROVED', 1, now() - interval '30 days'),
    (1, 'l4', 'published', 'REJECTED', 1, now() - interval '60 days'), (2, 'l5', 'draft', 'APPROVED', 1, NULL),
    (1, 'l6', 'suspended', 'APPROVED', 1, NULL);`;

type Gate = World & { gate: ReturnType<typeof createListingActivities> };

async function fresh(sql = SPOILT, listings: object = SAMPLE, environment: object = {}): Promise<Gate> {
  const world = await freshWorld(pg, {}, sql);
  const { config } = world.db.deps;
  const shop = config.services['shop'] as unknown as Record<string, unknown>;
  shop['listings'] = listingsSchema.parse(listings);
  const { production } = shop['environments'] as { production: Record<string, unknown> };
  production['listings'] = environmentListingsSchema.parse({ publishingGate: GATE, ...environment });
  return { ...world, gate: createListingActivities(world.db.deps) };
}

const find = ({ gate, db }: Gate, among?: string[]) =>
  runActivity(gate.findUnapprovedListings, { ...db.place, ...(among === undefined ? {} : { among }) });
const suspend = async (world: Gate, attempt = 1, listings?: { id: string }[]) => {
  const found = (listings ?? (await find(world)).listings).map((one) => ({
    providerState: null,
    profileState: null,
    ...one,
  }));
  return runActivity(world.gate.suspendListings, { ...world.repair, listings: found }, { attempt });
};
const undo = (world: Gate) =>
  runActivity(world.gate.undoListingSuspension, world.repair, { activityId: '9' });
const rowsOf = ({ db }: Gate) => db.query(`SELECT l.*::text FROM listings l ORDER BY id`);
const published = async ({ db }: Gate) =>
  (await db.query<{ id: number }>(`SELECT id::int FROM listings WHERE status = 'published' ORDER BY id`)).map(
    ({ id }) => id,
  );

it('finds what is published without approval, what came past the gate, and what was published lately', async () => {
  const world = await fresh();
  const { listings, recent, unconfigured } = await find(world);
  expect(
    listings.map(({ id, providerState, profileState, pastTheGate }) => [
      id,
      providerState,
      profileState,
      pastTheGate,
    ]),
  ).toEqual([
    ['2', 'PENDING', 'APPROVED', true],
    ['3', 'SUSPENDED', 'APPROVED', false],
    // Its provider was decided about before, as it should be; when its property was nobody knows.
    ['4', 'APPROVED', 'REJECTED', null],
  ]);
  expect([recent?.count, recent?.newest.map(({ id }) => id)]).toEqual([1, ['2']]);
  expect(unconfigured).toEqual([]);
});

it('says whether the gate is in force; what nobody can say is no yes', async () => {
  const off = await fresh();
  expect(await runActivity(off.gate.readPublishingGate, off.db.place)).toEqual({
    inForce: false,
    detail: 'it says "off", wanted "on"',
    configured: true,
  });
  await off.db.query('ALTER TABLE listings ENABLE TRIGGER listings_gate');
  expect(await runActivity(off.gate.readPublishingGate, off.db.place)).toMatchObject({ inForce: true });
  const flag = await fresh(SPOILT, SAMPLE, {
    publishingGate: {
      sql: `SELECT tgenabled <> 'D' AS enabled FROM pg_trigger WHERE tgname = 'listings_gate'`,
      expected: 'true',
    },
  });
  expect(await runActivity(flag.gate.readPublishingGate, flag.db.place)).toMatchObject({
    inForce: false,
    detail: 'it says "false", wanted "true"',
  });
  const lost = await fresh('', SAMPLE, { publishingGate: { sql: 'SELECT nothing FROM nowhere' } });
  expect(await runActivity(lost.gate.readPublishingGate, lost.db.place)).toMatchObject({
    inForce: null,
    detail: expect.stringMatching(/^not known: .*nowhere/),
  });
});

it('suspends exactly those, once, with an audit row each; the way back is exact, past the gate', async () => {
  const world = await fresh(SPOILT, { ...SAMPLE, batchRows: 2 });
  await world.db.query('ALTER TABLE listings ENABLE TRIGGER listings_gate');
  const before = await rowsOf(world);
  const { listings } = await find(world);
  expect(await suspend(world, 1, listings)).toEqual({ done: 3, left: [] });
  // An attempt whose answer was lost has done it.
  expect(await suspend(world, 2, listings)).toEqual({ done: 3, left: [] });
  expect(await published(world)).toEqual([1]);
  expect((await find(world)).listings).toEqual([]);
  expect((await auditOf(world))[0]).toEqual({
    entity_id: '2',
    action: 'listing_suspended',
    source: 'system',
    details: { reason: 'not approved', provider: 'PENDING', profile: 'APPROVED', run: 'run-1' },
  });
  expect(await undo(world)).toEqual({ done: 3, left: [] });
  expect(await rowsOf(world)).toEqual(before);
  expect((await auditOf(world)).map(({ action }) => action)).toEqual([
    ...Array<string>(3).fill('listing_suspended'),
    ...Array<string>(3).fill('listing_restored'),
  ]);
});

it('leaves alone what is approved, or taken back, by the time its row is locked, and what was changed since on the way back', async () => {
  const world = await fresh();
  const { listings } = await find(world);
  await world.db.query(
    `UPDATE providers SET status = 'APPROVED' WHERE id = 2; UPDATE listings SET status = 'draft' WHERE id = 3`,
  );
  const why = 'it is not published any more, or approved by now';
  expect(await suspend(world, 1, listings)).toEqual({
    done: 1,
    left: [
      { unit: 'listing 2', why },
      { unit: 'listing 3', why },
    ],
  });
  expect(await published(world)).toEqual([1, 2]);
  await world.db.query(`UPDATE listings SET title = 'of today' WHERE id = 4`);
  expect(await undo(world)).toMatchObject({ done: 0, left: [{ unit: 'listing 4' }] });
  expect(await published(world)).toEqual([1, 2]);
});

it('passes over a row that somebody keeps locked, and takes it once it is free', async () => {
  const world = await fresh();
  const { listings } = await find(world);
  const owner = new Client({ connectionString: pg.urlOf(world.db.name) });
  await owner.connect();
  await owner.query('BEGIN; SELECT FROM listings WHERE id = 3 FOR UPDATE');
  const suspending = suspend(world, 1, listings);
  const others = async () => (await published(world)).join() === '1,3';
  while (!(await others())) await new Promise((resolve) => setTimeout(resolve, 50));
  await owner.query('ROLLBACK');
  await owner.end();
  expect(await suspending).toEqual({ done: 3, left: [] });
});

it('refuses too many, none, a role that can write more, and words that the application does not know are said', async () => {
  const world = await fresh();
  (world.db.deps.config.services['shop'] as { maxDestructive: number }).maxDestructive = 2;
  expect(await failureOf(find(world))).toMatchObject({
    type: 'TooManyTargets',
    message: expect.stringMatching(
      /^3 listings of shop\/production are published and not approved, more than maxDestructive allows \(2\)/,
    ),
  });
  // Of those that a run has suspended it asks by name: how many others there are by now is no matter.
  expect((await find(world, ['1', '3'])).listings.map(({ id }) => id)).toEqual(['3']);
  expect(await failureOf(suspend(world, 1, [{ id: '2' }, { id: '3' }, { id: '4' }]))).toMatchObject({
    type: 'TooManyTargets',
  });
  expect(await failureOf(suspend(world, 1, []))).toMatchObject({ type: 'EmptySelection' });
  expect(await published(world)).toEqual([1, 2, 3, 4]);
  await world.db.query('GRANT UPDATE (status) ON providers TO runbooks_listings');
  expect(await failureOf(find(world))).toMatchObject({
    type: 'RepairRoleInvalid',
    message: expect.stringContaining('can also write public.providers'),
  });
  const other = await fresh(SPOILT, {
    ...SAMPLE,
    role: undefined,
    states: { approved: 'VERIFIED', suspended: 'PAUSED' },
  });
  expect((await find(other)).unconfigured).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/no role is configured/),
      expect.stringMatching(/no row of "public"."providers" is "VERIFIED": look whether states.approved/),
      expect.stringMatching(/no row of "public"."listings" is "PAUSED": look whether states.suspended/),
    ]),
  );
});

it.each(['varchar(8)', 'char(8)'])('cuts no word that is too long for a %s', async (type) => {
  const world = await fresh(
    `${SPOILT} ALTER TABLE listings ADD COLUMN shown ${type} DEFAULT 'live'; GRANT UPDATE (shown) ON listings TO runbooks_listings`,
    {
      ...SAMPLE,
      tables: { ...SAMPLE.tables, listings: { columns: { status: 'shown' } } },
      states: { published: 'live', suspended: 'withdrawn' },
    },
  );
  expect((await failureOf(suspend(world))).message).toMatch(/value too long for type character/);
  expect(await world.db.query('SELECT DISTINCT trim(shown) AS shown FROM listings')).toEqual([
    { shown: 'live' },
  ]);
});

it('works on an application of somebody else, with profiles in a table of their own', async () => {
  const world = await fresh(
    `CREATE SCHEMA "Market"; GRANT ALL ON SCHEMA "Market" TO booking_owner; GRANT USAGE ON SCHEMA "Market" TO runbooks_listings;
     SET ROLE booking_owner;
     CREATE TYPE "Market"."Review" AS ENUM ('NEW', 'OK');
     CREATE TABLE "Market"."Vendor" ("no" serial PRIMARY KEY, "review" "Market"."Review" NOT NULL);
     CREATE TABLE "Market"."House" ("no" serial PRIMARY KEY, "review" "Market"."Review" NOT NULL);
     CREATE TABLE "Market"."Offer" ("Key" text PRIMARY KEY, "vendor" int, "house" int, "order" varchar(10) NOT NULL, "live" timestamp);
     INSERT INTO "Market"."Vendor" ("review") VALUES ('OK'), ('NEW');
     INSERT INTO "Market"."House" ("review") VALUES ('OK'), ('NEW');
     INSERT INTO "Market"."Offer" VALUES ('good', 1, 1, 'LIVE', now() AT TIME ZONE 'UTC'), ('house', 1, 2, 'LIVE', NULL), ('vendor', 2, 1, 'LIVE', NULL),
       ('gone', 9, 1, 'LIVE', NULL), ('bare', NULL, NULL, 'LIVE', NULL), ('asleep', 2, 2, 'OFF', NULL);
     GRANT SELECT, UPDATE ("order") ON "Market"."Offer" TO runbooks_listings; GRANT SELECT ON "Market"."Vendor", "Market"."House" TO runbooks_listings;
     RESET ROLE; REVOKE ALL ON listings, audit_logs FROM runbooks_listings; SET timezone = 'America/New_York';`,
    {
      role: 'runbooks_listings',
      tables: {
        listings: {
          schema: 'Market',
          table: 'Offer',
          columns: { id: 'Key', status: 'order', provider: 'vendor', profile: 'house', publishedAt: 'live' },
        },
        providers: { schema: 'Market', table: 'Vendor', columns: { id: 'no', status: 'review' } },
        profiles: { schema: 'Market', table: 'House', columns: { id: 'no', status: 'review' } },
      },
      states: { published: 'LIVE', suspended: 'OFF', approved: 'OK', profileApproved: 'OK' },
    },
  );
  const { listings, recent } = await find(world);
  expect(listingsText(listings)).toBe(
    '4 listings: bare (no provider, profile is none), gone (provider 9 is not there, profile is OK), ' +
      'house (provider 1 is OK, profile is NEW), vendor (provider 2 is NEW, profile is OK)',
  );
  expect(recent?.newest.map(({ id }) => id)).toEqual(['good']);
  expect(await suspend(world, 1, listings)).toEqual({ done: 4, left: [] });
  expect(await world.db.query(`SELECT "Key" FROM "Market"."Offer" WHERE "order" = 'LIVE'`)).toEqual([
    { Key: 'good' },
  ]);
  expect(await undo(world)).toEqual({ done: 4, left: [] });
});
