import { failureOf } from '../../support/postgres';
import { bring, compare, find, fresh, LOST, ORDERS, rowsOf } from './corruption-world';

const checked = (sql: string) => ({ checks: [{ name: 'own', table: 'Shop.orders', sql }] });

it.each([
  ['writes', `DELETE FROM ${ORDERS} RETURNING code`, /not supported|read-only|syntax error/i],
  [
    'ends its transaction to write',
    `SELECT code FROM ${ORDERS}) b) r; COMMIT; DELETE FROM ${ORDERS}; SELECT 1 AS n FROM (SELECT FROM (SELECT 1`,
    /multiple commands/,
  ],
  ['writes by a function', 'SELECT "Shop".wipe()', /read-only transaction/],
])('a rule of the configuration that %s is no rule, and changes nothing', async (_, sql, problem) => {
  const world = await fresh(
    `CREATE FUNCTION "Shop".wipe() RETURNS text LANGUAGE sql AS $$ DELETE FROM ${ORDERS} RETURNING code $$`,
    checked(sql),
  );
  const before = await rowsOf(world);
  expect((await find(world)).violations).toEqual([
    { name: 'own', table: '"Shop"."orders"', rows: 0, problem: expect.stringMatching(problem) as string },
  ]);
  expect(await rowsOf(world)).toEqual(before);
});

it('a rule that nobody can look at is not kept, and nothing is compared by it', async () => {
  const world = await fresh(LOST, checked('SELECT code FROM "Shop".nowhere'));
  expect((await find(world)).violations).toEqual([
    // Of the buyers that are lost.
    expect.objectContaining({ name: 'of_buyer' }),
    expect.objectContaining({
      name: 'own',
      rows: 0,
      problem: expect.stringContaining('does not exist') as string,
    }),
  ]);
  expect((await failureOf(compare(world))).message).toMatch(/does not exist/);
});

it('an index that is not what it should be is found where amcheck is there, and how to mend it', async () => {
  const world = await fresh(`CREATE EXTENSION amcheck;
    CREATE FUNCTION "Shop".by(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT sign(a - b)::int $$;
    CREATE OPERATOR CLASS "Shop".by_hand FOR TYPE int USING btree AS
      OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 "Shop".by(int, int);
    CREATE INDEX turned ON "Shop".pairs (a "Shop".by_hand);
    INSERT INTO "Shop".pairs SELECT n, n FROM generate_series(1, 50) n;
    CREATE OR REPLACE FUNCTION "Shop".by(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT sign(b - a)::int $$`);
  expect(await find(world)).toEqual({
    amcheck: true,
    violations: [
      {
        ...{ name: 'index "Shop".turned', table: '"Shop"."pairs"', rows: 0 },
        problem: expect.stringMatching(/REINDEX INDEX CONCURRENTLY "Shop"\.turned$/) as string,
      },
    ],
  });
});

it('brings nothing into a table that is gone since the plan was made', async () => {
  const world = await fresh(LOST);
  const { rows } = await compare(world);
  await world.db.query(`ALTER TABLE ${ORDERS} RENAME TO former`);
  const failure = await failureOf(bring(world, 1, rows));
  expect(failure).toMatchObject({ type: 'InvalidInput', nonRetryable: true });
  expect(failure.message).toMatch(/^"Shop"\."orders" is not there any more.*Nothing of it was changed/);
});
