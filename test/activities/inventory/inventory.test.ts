import { Client } from 'pg';
import { environmentInventorySchema } from '../../../src/activities/inventory/settings';
import { peopleText, rebuildText } from '../../../src/workflows/inventory/audit-inventory/plan';
import { failureOf, runActivity, until, type TestPostgres } from '../../support/postgres';
import { startBookingServer, useCustomers } from '../bookings/bookings-world';
import { compare, freshStock, INVENTORY, rebuild, soldOf, SPOILT, undo } from './inventory-world';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startBookingServer();
});
afterAll(() => pg?.stop());
const customer = useCustomers({ urlOf: (name: string) => pg.urlOf(name) } as TestPostgres);

it('tells counters that the ledger can put right from what a person has to decide', async () => {
  const world = await freshStock(pg);
  const audit = await compare(world);
  expect([audit.units, audit.soldOver, audit.unconfigured]).toEqual([6, 2, []]);
  expect(rebuildText(audit)).toBe('2 units: 2 (counter 1, ledger 2), 3 (counter 3, ledger 2)');
  expect(peopleText(audit)).toBe(
    '3 units: 4 (3 of 2 sold; bookings 7, 8, 9), ' +
      '5 (the ledger has no entry of it: counter 2, ledger 0, bookings 2; bookings 10, 11), ' +
      '6 (its ledger and its bookings say different things: counter 1, ledger 1, bookings 2; bookings 12, 13)',
  );
  expect([audit.recent?.count, audit.recent?.newest.length]).toEqual([12, 10]);
  expect(await compare(world, ['1', '3'])).toMatchObject({ units: 2, rebuild: ['3'], forPeople: [] });
});

it('rebuilds exactly those of the plan, once, with an audit row each; the way back is exact', async () => {
  const world = await freshStock(pg, SPOILT, { ...INVENTORY, batchRows: 1 });
  const rows = () => world.db.query('SELECT u.*::text FROM inventory_units u ORDER BY id');
  const others = () =>
    world.db.query(
      'SELECT l.*::text FROM inventory_ledger l UNION ALL SELECT s.*::text FROM sales s ORDER BY 1',
    );
  const [before, beside] = [await rows(), await others()];
  expect(await rebuild(world, ['2', '3'])).toEqual({ done: 2, left: [] });
  // An attempt whose answer was lost has done it.
  expect(await rebuild(world, ['2', '3'], 2)).toEqual({ done: 2, left: [] });
  expect(await soldOf(world)).toEqual([2, 2, 2, 3, 2, 1]);
  expect((await compare(world)).rebuild).toEqual([]);
  expect(
    await world.db.query('SELECT entity_id, action, source, details FROM trail ORDER BY id LIMIT 1'),
  ).toEqual([
    {
      entity_id: '2',
      action: 'inventory_rebuilt',
      source: 'system',
      details: { reason: 'counter was not what the ledger adds up to', was: '1', ledger: '2', run: 'run-1' },
    },
  ]);
  expect(await undo(world)).toEqual({ done: 2, left: [] });
  expect([await rows(), await others()]).toEqual([before, beside]);
  expect(await world.db.query('SELECT action FROM trail ORDER BY id')).toEqual([
    ...Array<object>(2).fill({ action: 'inventory_rebuilt' }),
    ...Array<object>(2).fill({ action: 'inventory_restored' }),
  ]);
});

it('counts in what is sold between the look and the lock, also while that is still being sold', async () => {
  const world = await freshStock(pg);
  const { rebuild: units } = await compare(world);
  const sell = `INSERT INTO sales (unit_id, status) VALUES (2, 'confirmed');
                INSERT INTO inventory_ledger (unit_id, quantity) VALUES (2, 1)`;
  await world.db.query(sell);
  const buyer = await customer(world);
  await buyer.query(`BEGIN; ${sell}`);
  const rebuilding = rebuild(world, units);
  // Its entry keeps the row of unit 2 from being locked; that of unit 3 is not kept waiting by it.
  await until(async () => (await soldOf(world))[2] === 2);
  expect((await soldOf(world))[1]).toBe(1);
  await buyer.query('COMMIT');
  expect(await rebuilding).toEqual({ done: 2, left: [] });
  expect((await soldOf(world))[1]).toBe(4);
});

it('leaves alone what is right by then, disputed by then, gone or locked, and what was changed since on the way back', async () => {
  const world = await freshStock(pg);
  await world.db.query(
    `UPDATE inventory_units SET sold = 2 WHERE id = 2; INSERT INTO inventory_ledger (unit_id, quantity) VALUES (1, NULL)`,
  );
  const holder = new Client({ connectionString: pg.urlOf(world.db.name) });
  await holder.connect();
  try {
    await holder.query('BEGIN; SELECT FROM inventory_units WHERE id = 4 FOR UPDATE');
    expect(await rebuild(world, ['1', '2', '3', '4', '5', '99'])).toEqual({
      done: 1,
      left: expect.arrayContaining([
        { unit: 'unit 1', why: 'an entry of its ledger has no number' },
        { unit: 'unit 2', why: 'its counter is what the ledger adds up to by now' },
        { unit: 'unit 4', why: 'somebody else has it locked' },
        { unit: 'unit 5', why: 'the ledger has no entry of it' },
        { unit: 'unit 99', why: 'it is gone' },
      ]),
    });
  } finally {
    await holder.end();
  }
  expect(await soldOf(world)).toEqual([2, 2, 2, 3, 2, 1]);
  await world.db.query('UPDATE inventory_units SET sold = 1 WHERE id = 3');
  expect(await undo(world)).toMatchObject({ done: 0, left: [{ unit: 'unit 3' }] });
  expect((await soldOf(world))[2]).toBe(1);
});

it('never sells again what is sold: a ledger below nothing, or without its bookings, rebuilds no counter', async () => {
  const world = await freshStock(pg);
  await world.db.query(
    `INSERT INTO inventory_ledger (unit_id, quantity) VALUES (2, -5), (3, -1);
     DELETE FROM inventory_ledger WHERE unit_id = 1`,
  );
  const { rebuild: units, named } = await compare(world);
  expect(units).toEqual([]);
  const why = new Map(named.map(({ id, disputed }) => [id, disputed]));
  expect(['1', '2', '3'].map((id) => why.get(id))).toEqual([
    'the ledger has no entry of it',
    'its ledger adds up to less than nothing',
    'its ledger and its bookings say different things',
  ]);
});

it('refuses too many, none, and a role that can write more; what is not configured is said', async () => {
  const world = await freshStock(pg);
  const shop = world.db.deps.config.services['shop'] as { maxDestructive: number };
  shop.maxDestructive = 1;
  expect(await failureOf(compare(world))).toMatchObject({
    type: 'TooManyTargets',
    message: expect.stringMatching(/^2 units of shop\/production have a counter that is not what/),
  });
  expect(await failureOf(rebuild(world, ['2', '3']))).toMatchObject({ type: 'TooManyTargets' });
  expect(await failureOf(rebuild(world, []))).toMatchObject({ type: 'EmptySelection' });
  shop.maxDestructive = 100;
  for (const grant of ['INSERT ON inventory_ledger', 'UPDATE (status) ON sales', 'DELETE ON slots']) {
    await world.db.query(`GRANT ${grant} TO runbooks_inventory`);
    expect(await failureOf(compare(world))).toMatchObject({
      type: 'RepairRoleInvalid',
      message: expect.stringMatching(/can also write public\.(inventory_ledger|sales|slots)/),
    });
    await world.db.query(`REVOKE ${grant} FROM runbooks_inventory`);
  }
  expect(await soldOf(world)).toEqual([2, 1, 3, 3, 2, 1]);
  const bare = await freshStock(pg, `${SPOILT} UPDATE inventory_units SET capacity = NULL WHERE id = 1`, {});
  expect((await compare(bare)).unconfigured).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/no role is configured/),
      expect.stringMatching(/audit trail: none is configured/),
      'nobody compares the ledger with bookings: tables.bookings is not configured',
      'recent entries of the ledger are not listed: no column createdAt is configured',
      '1 unit without a capacity: whether they are sold too often is not known',
    ]),
  );
  const other = await freshStock(pg, SPOILT, { ...INVENTORY, counts: ['PAID'] });
  expect((await compare(other)).unconfigured).toEqual([
    expect.stringMatching(/no row of .*sales" is "PAID"/),
  ]);
});

it('works on an application of somebody else', async () => {
  const world = await freshStock(
    pg,
    `DO $$ BEGIN CREATE ROLE runbooks_inventory NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
     GRANT runbooks_inventory TO runbooks_migrator;
     CREATE SCHEMA "Hall"; GRANT ALL ON SCHEMA "Hall" TO booking_owner; GRANT USAGE ON SCHEMA "Hall" TO runbooks_inventory; SET ROLE booking_owner;
     CREATE TYPE "Hall"."State" AS ENUM ('PAID', 'VOID');
     CREATE TABLE "Hall"."Block" ("Key" text PRIMARY KEY, "order" numeric(10, 2), "most" bigint);
     CREATE TABLE "Hall"."Seat sale" ("no" serial PRIMARY KEY, "of" text, "state" "Hall"."State", "seats" smallint, "made" timestamp);
     CREATE TABLE "Hall"."Book" ("n" serial PRIMARY KEY, "block" text, "by" numeric, "sale" int, "when" timestamp);
     INSERT INTO "Hall"."Block" VALUES ('a "b"', 7, 5), ('ok', 2, 5);
     INSERT INTO "Hall"."Seat sale" ("of", "state", "seats", "made") VALUES ('a "b"', 'PAID', 6, now()), ('ok', 'PAID', 2, now()), ('ok', 'VOID', 2, now());
     INSERT INTO "Hall"."Book" ("block", "by", "sale", "when") VALUES ('a "b"', 6, 1, now()), ('ok', 2, 2, now());
     GRANT SELECT, UPDATE ("order") ON "Hall"."Block" TO runbooks_inventory; GRANT SELECT ON "Hall"."Seat sale", "Hall"."Book" TO runbooks_inventory;
     RESET ROLE; SET timezone = 'America/New_York';`,
    {
      role: 'runbooks_inventory',
      counts: ['PAID'],
      tables: {
        units: { schema: 'Hall', table: 'Block', columns: { id: 'Key', sold: 'order', capacity: 'most' } },
        ledger: {
          schema: 'Hall',
          table: 'Book',
          columns: { id: 'n', unit: 'block', quantity: 'by', booking: 'sale', createdAt: 'when' },
        },
        bookings: {
          schema: 'Hall',
          table: 'Seat sale',
          columns: { id: 'no', unit: 'of', status: 'state', quantity: 'seats', createdAt: 'made' },
        },
      },
    },
  );
  const audit = await compare(world);
  expect(rebuildText(audit)).toBe('1 unit: a "b" (counter 7, ledger 6)');
  expect(peopleText(audit)).toBe('1 unit: a "b" (6 of 5 sold; bookings 1)');
  expect(await rebuild(world, audit.rebuild)).toEqual({ done: 1, left: [] });
  const orders = () => world.db.query('SELECT "order"::float8 AS sold FROM "Hall"."Block" ORDER BY 1');
  expect(await orders()).toEqual([{ sold: 2 }, { sold: 6 }]);
  expect(await undo(world)).toEqual({ done: 1, left: [] });
  expect(await orders()).toEqual([{ sold: 2 }, { sold: 7 }]);
});

it('says little of 200,000 units, whatever is wrong with them', async () => {
  const many = `${SPOILT} SET ROLE booking_owner; TRUNCATE inventory_units, inventory_ledger, sales;
    INSERT INTO inventory_units (id, capacity, sold) SELECT n, 1, CASE WHEN n <= 3000 THEN 0 ELSE 1 END FROM generate_series(1, 200000) n;
    INSERT INTO inventory_ledger (unit_id, quantity) SELECT n, 1 FROM generate_series(1, 200000) n;
    INSERT INTO sales (unit_id, status) SELECT n, 'confirmed' FROM generate_series(1, 200000) n; RESET ROLE; ANALYZE;`;
  const world = await freshStock(pg, many, { ...INVENTORY, batchRows: 500 });
  (world.db.deps.config.services['shop'] as { maxDestructive: number }).maxDestructive = 100_000;
  const audit = await compare(world);
  expect([audit.units, audit.rebuild.length, audit.sample.length]).toEqual([200_000, 3000, 10]);
  expect(JSON.stringify(audit).length).toBeLessThan(64_000);
  expect(await rebuild(world, audit.rebuild)).toEqual({ done: 3000, left: [] });
  expect((await compare(world)).rebuild).toEqual([]);
  await world.db.query('UPDATE inventory_units SET sold = 0');
  expect(await failureOf(compare(world))).toMatchObject({
    type: 'TooManyTargets',
    message: expect.stringMatching(/^200,?000 units of .*never more than 5000/),
  });
});

it('says of confirmations and of refused updates what their sources say; what nobody can say is no yes', async () => {
  const place = { service: 'shop', environment: 'production' };
  const bare = await freshStock(pg);
  expect(await runActivity(bare.stock.readConfirmations, place)).toMatchObject({
    canStop: false,
    stopped: null,
  });
  expect(await runActivity(bare.stock.readRejections, place)).toEqual({
    count: null,
    detail: 'not looked at: inventory.rejections is not configured',
  });
  expect(
    await failureOf(runActivity(bare.stock.stopConfirmations, { ...place, fence: bare.repair.fence })),
  ).toMatchObject({ type: 'InvalidInput' });
  const way = { command: { run: ['sh', '-c', 'echo done'] } };
  const told = await freshStock(pg, SPOILT, INVENTORY, {
    confirmations: { stop: way, resume: way, state: { sql: `SELECT 'off' AS said` } },
    rejections: { command: { run: ['sh', '-c', 'echo 7'] } },
  });
  expect(await runActivity(told.stock.readConfirmations, place)).toMatchObject({
    canStop: true,
    stopped: true,
    resumeByHand: "`RUNBOOKS_SERVICE=shop RUNBOOKS_ENVIRONMENT=production sh -c 'echo done'`",
  });
  expect(await runActivity(told.stock.readRejections, place)).toMatchObject({ count: 7 });
  for (const printed of ['NaN', 'many', '-1', '']) {
    const world = await freshStock(pg, SPOILT, INVENTORY, {
      rejections: { command: { run: ['sh', '-c', `echo '${printed}'`] } },
      confirmations: { stop: way, resume: way, state: { sql: 'SELECT said FROM nowhere' } },
    });
    expect(await runActivity(world.stock.readRejections, place)).toMatchObject({ count: null });
    expect(await runActivity(world.stock.readConfirmations, place)).toMatchObject({ stopped: null });
  }
});

it.each([
  [{}, 'off', true, /^it says "off": stopped$/],
  [{}, 'on', false, /^it says "on": taken$/],
  [
    {},
    'maintenance',
    null,
    /^not known: it says "maintenance", and .* expects "off" while .*, or "on" while/,
  ],
  [{}, 'OFF', null, /^not known: it says "OFF"/],
  [{ stopped: 'true', taken: 'false' }, 'false', false, /taken$/],
] as const)(
  'with %j takes the word "%s" of confirmations for stopped: %s',
  async (words, word, stopped, detail) => {
    const way = { command: { run: ['true'] } };
    const state = { command: { run: ['echo', word] }, ...words };
    const { stock } = await freshStock(pg, SPOILT, INVENTORY, {
      confirmations: { stop: way, resume: way, state },
    });
    const found = await runActivity(stock.readConfirmations, { service: 'shop', environment: 'production' });
    expect(found).toMatchObject({ watched: true, stopped, detail: expect.stringMatching(detail) });
  },
);

it('refuses one word for both', () => {
  const way = { command: { run: ['true'] } };
  const state = { ...way, stopped: 'on' };
  const found = environmentInventorySchema.safeParse({ confirmations: { stop: way, resume: way, state } });
  expect(found.error?.issues[0]?.path).toEqual(['confirmations', 'state', 'taken']);
});
