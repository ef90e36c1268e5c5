import { Client } from 'pg';
import { failureOf, runSql } from '../../support/postgres';
import {
  bring,
  BUYERS,
  compare,
  find,
  fresh,
  LOST,
  NEWER,
  ORDERS,
  pg,
  rowsOf,
  SPOILED,
  undo,
} from './corruption-world';

it('finds nothing where nothing is wrong, and names what it cannot compare', async () => {
  const world = await fresh('SELECT');
  expect(await find(world)).toEqual({ violations: [], amcheck: false });
  expect(await compare(world)).toMatchObject({
    ...{ rows: [], tables: [], tooMany: false },
    left: [
      { table: '"Shop"."marks"', why: 'it has no primary key' },
      { table: '"Shop"."pairs"', why: 'its primary key has several columns' },
    ],
  });
});

it('finds foreign keys that are broken, also of constraints that nobody validated, and rules of the configuration', async () => {
  const world = await fresh(
    `${LOST}; ${SPOILED}; ALTER TABLE ${ORDERS} DROP CONSTRAINT of_buyer;
     ALTER TABLE ${ORDERS} ADD CONSTRAINT of_buyer FOREIGN KEY (buyer) REFERENCES ${BUYERS} NOT VALID;
     ALTER TABLE ${ORDERS} ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID`,
  );
  const { violations } = await find(world);
  expect(violations).toEqual([
    // Orders of the two buyers, and the one of nobody.
    { name: 'of_buyer', table: '"Shop"."orders"', rows: 3 },
    { name: 'positive', table: '"Shop"."orders"', rows: 2 },
    { name: 'totals', table: '"Shop"."orders"', rows: 2 },
  ]);
});

it('brings back what is missing and what was spoiled, and leaves what is newer or was changed on purpose', async () => {
  const world = await fresh(`${LOST}; ${SPOILED}; ${NEWER}`);
  const found = await compare(world);
  expect(found.tables).toEqual([
    { table: '"Shop"."Buyers"', missing: 2, wrong: 0, newer: 0 },
    { table: '"Shop"."orders"', missing: 3, wrong: 3, newer: 1 },
  ]);
  // Orders of buyers that come back are well by that.
  expect(found.left).toHaveLength(2);
  expect(await bring(world)).toEqual({ done: 8, left: [] });
  const good = await fresh(NEWER);
  expect(await rowsOf(world)).toEqual(await rowsOf(good));
  expect((await find(world)).violations).toEqual([]);
  expect((await compare(world)).rows).toEqual([]);
});

it('takes back exactly what it brought, past the triggers, and with nothing of others', async () => {
  const world = await fresh(`${LOST}; ${SPOILED}`);
  const before = await rowsOf(world);
  await bring(world);
  // A cascade would take the orders of the buyers with them.
  expect(await undo(world)).toEqual({ done: 8, left: [] });
  expect(await rowsOf(world)).toEqual(before);
  expect(await undo(world)).toEqual({ done: 8, left: [] });
  expect(await failureOf(bring(world, 2))).toMatchObject({ type: 'StaleFencingToken' });
});

it('does what is left when it is tried again, and nothing twice', async () => {
  const world = await fresh(`${LOST}; ${SPOILED}`);
  const { rows } = await compare(world);
  await bring(world, 1, rows.slice(0, 3));
  expect(await bring(world, 2, rows)).toEqual({ done: 8, left: [] });
  expect(await bring(world, 3, rows)).toEqual({ done: 8, left: [] });
  expect(
    await world.db.query(
      'SELECT count(*)::int AS n FROM durable_runbooks.change_log WHERE undone_at IS NULL',
    ),
  ).toEqual([{ n: 8 }]);
});

it('leaves alone what somebody has changed, or entered again, since the plan was made', async () => {
  const world = await fresh(`${LOST}; ${SPOILED}`);
  const { rows } = await compare(world);
  await world.db.query(
    `SET session_replication_role = replica; UPDATE ${ORDERS} SET total = -2 WHERE code = 'o1';
     INSERT INTO ${ORDERS} (code, buyer, total) VALUES ('o7', 7, 70); INSERT INTO ${BUYERS} (name) VALUES ('b3')`,
  );
  const { done, left } = await bring(world, 1, rows);
  expect(done).toBe(5);
  expect(left.map(({ unit }) => unit).sort()).toEqual([
    '"Shop"."Buyers" 3',
    '"Shop"."orders" o1',
    '"Shop"."orders" o7',
  ]);
  expect(
    await world.db.query(`SELECT total::int FROM ${ORDERS} WHERE code IN ('o1', 'o7') ORDER BY code`),
  ).toEqual([{ total: -2 }, { total: 70 }]);
});

it('leaves alone, on the way back, a row that somebody has changed since, and says so', async () => {
  const world = await fresh(`${LOST}; ${SPOILED}`);
  await bring(world);
  await world.db.query(
    `SET session_replication_role = replica; UPDATE ${ORDERS} SET total = 50 WHERE code IN ('o7', 'o1')`,
  );
  const { left } = await undo(world);
  expect(left.map(({ unit, why }) => `${unit}: ${why}`).sort()).toEqual([
    '"Shop"."orders" o1: "Shop"."orders" o1 was changed since: total',
    '"Shop"."orders" o7: "Shop"."orders" o7 was changed since: total',
  ]);
});

it('leaves, on the way back, what somebody refers to since, and what rows that stay refer to', async () => {
  const grants = `GRANT USAGE ON SCHEMA "Shop" TO undoer; GRANT SELECT, INSERT, UPDATE, DELETE ON ${ORDERS}, ${BUYERS} TO undoer`;
  await runSql(pg.urlOf('postgres'), 'CREATE ROLE undoer');
  const world = await fresh(
    `${grants}; CREATE TABLE "Shop".notes (buyer bigint REFERENCES "Shop"."Buyers");
     DELETE FROM ${BUYERS} WHERE "Id" IN (3, 4, 5); DELETE FROM ${ORDERS} WHERE code IN ('o3', 'o4')`,
    { role: 'undoer' },
  );
  expect(await bring(world)).toEqual({ done: 5, left: [] });
  await world.db.query(
    `INSERT INTO "Shop".notes VALUES (3); SET session_replication_role = replica; UPDATE ${ORDERS} SET total = 50 WHERE code = 'o4'`,
  );
  const { done, left } = await undo(world);
  expect([done, left.map(({ unit, why }) => `${unit}: ${why}`).sort()]).toEqual([
    2,
    [
      '"Shop"."Buyers" 3: rows of "Shop"."notes" refer to "Shop"."Buyers" 3 since',
      '"Shop"."Buyers" 4: rows of "Shop"."orders" refer to "Shop"."Buyers" 4 since',
      '"Shop"."orders" o4: "Shop"."orders" o4 was changed since: total',
    ],
  ]);
  expect((await find(world)).violations).toMatchObject([{ name: 'of_buyer', rows: 1 }]);
});

it('passes over a row that somebody has locked until it is free', async () => {
  const world = await fresh(SPOILED);
  const other = new Client({ connectionString: pg.urlOf(world.db.name) });
  await other.connect();
  other.on('error', () => undefined);
  await other.query(`BEGIN; SELECT FROM ${ORDERS} WHERE code = 'o2' FOR UPDATE`);
  setTimeout(() => void other.query('ROLLBACK'), 1_000);
  expect(await bring(world)).toEqual({ done: 3, left: [] });
  await other.end();
});

it('works in a database that was made read-only for it', async () => {
  const world = await fresh(LOST);
  await world.db.query(`ALTER DATABASE ${world.db.name} SET default_transaction_read_only = on`);
  expect(await bring(world)).toEqual({ done: 5, left: [] });
  expect(await undo(world)).toEqual({ done: 5, left: [] });
});

it('says that there is too much for a run, and compares no table that is left out', async () => {
  expect(await compare(await fresh(LOST, { maxRows: 4 }))).toMatchObject({ tooMany: true, rows: [] });
  const world = await fresh(LOST, { leaveOut: ['Shop.orders'] });
  const { rows, left } = await compare(world);
  expect(rows.map(({ key }) => key)).toEqual(['3', '4']);
  expect(left).toContainEqual({ table: '"Shop"."orders"', why: 'the configuration leaves it out' });
});

it('says of rows that break a rule and are not otherwise in the backup that a person has to look at them', async () => {
  const world = await fresh(`INSERT INTO ${ORDERS} (code, buyer, total) VALUES ('bad', 1, -5)`);
  const { rows, left } = await compare(world);
  expect(rows).toEqual([]);
  expect(left).toContainEqual({
    table: '"Shop"."orders"',
    why: '1 rows break a rule, and the backup does not have them otherwise',
  });
});

it('compares no table whose columns were changed since, and says that a table is gone', async () => {
  const world = await fresh(`${LOST}; ALTER TABLE ${ORDERS} ADD COLUMN extra int; DROP TABLE "Shop".marks`);
  const { left } = await compare(world);
  expect(left).toContainEqual({ table: '"Shop"."orders"', why: 'its columns were changed since the backup' });
});

it('changes nothing for a run whose lease is another one’s', async () => {
  const world = await fresh(LOST);
  const { rows } = await compare(world);
  const other = { ...world.repair, run: 'other', fence: { target: 'shop/production', token: 2 } };
  await bring({ ...world, repair: other }, 1, []);
  const before = await rowsOf(world);
  expect(await failureOf(bring(world, 1, rows))).toMatchObject({ type: 'StaleFencingToken' });
  expect(await rowsOf(world)).toEqual(before);
});

it('looks at indexes where amcheck is there', async () => {
  const world = await fresh('CREATE EXTENSION amcheck');
  expect(await find(world)).toEqual({ violations: [], amcheck: true });
});

it('refuses where our role could not take back what it does', async () => {
  const world = await fresh(LOST);
  await runSql(
    pg.urlOf('postgres'),
    `CREATE ROLE weak LOGIN PASSWORD 'weak' IN ROLE pg_read_all_data, pg_write_all_data BYPASSRLS`,
  );
  const { database } = world.db.deps.config.services['shop']!.environments['production']!;
  database.url = pg.urlOf(world.db.name, { user: 'weak', password: 'weak' });
  expect(await failureOf(compare(world))).toMatchObject({
    type: 'MissingPrivilege',
    message: expect.stringContaining('GRANT SET ON PARAMETER session_replication_role') as string,
  });
});

it('brings back as the role of the configuration, and says before anybody is asked which right it lacks', async () => {
  await runSql(pg.urlOf('postgres'), 'CREATE ROLE mender');
  const grants = `GRANT USAGE ON SCHEMA "Shop" TO mender; GRANT SELECT, INSERT, UPDATE ON ${BUYERS}, ${ORDERS} TO mender;
    GRANT DELETE ON ${BUYERS} TO mender`;
  const world = await fresh(`${LOST}; ${SPOILED}; ${grants}`, { role: 'mender' });
  expect((await failureOf(compare(world))).message).toContain(
    'GRANT DELETE ON "Shop"."orders" TO mender, then',
  );
  await world.db.query(`GRANT DELETE ON ${ORDERS} TO mender`);
  const before = await rowsOf(world);
  expect(await bring(world)).toEqual({ done: 8, left: [] });
  expect(await undo(world)).toEqual({ done: 8, left: [] });
  expect(await rowsOf(world)).toEqual(before);
});
