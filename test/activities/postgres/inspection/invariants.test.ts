import { createInvariantActivities } from '../../../../src/activities/postgres/inspection/invariants';
import { placeOf } from '../../../../src/contract/place';
import { failureOf, runActivity, startTestPostgres, type TestPostgres } from '../../../support/postgres';
import { shopSchema } from '../migrations/migration-fixtures';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

async function check(
  invariants: { name: string; sql: string }[],
  options: Parameters<TestPostgres['fresh']>[0] = {},
) {
  const shop = await server.fresh({ ...options, service: { invariants } });
  const results = await runActivity(createInvariantActivities(shop.deps).checkInvariants, {
    database: shop.ref,
  });
  return { shop, results };
}

const all = (sql: string) => [{ name: 'n', sql }];

describe('checkInvariants', () => {
  it('holds where a query returns no row, and counts the violations where it returns some', async () => {
    const { results } = await check([
      { name: 'every order costs something', sql: 'SELECT id FROM orders WHERE total <= 0;' },
      { name: 'no order is cheap', sql: 'SELECT id, total FROM orders WHERE total < 8 ORDER BY id' },
    ]);
    expect(results).toMatchObject([
      { name: 'every order costs something', ok: true, violations: 0 },
      { name: 'no order is cheap', ok: false, violations: 7 },
    ]);
    expect(results[1]?.sample).toMatch(/id=1/);
  });

  it('takes them from the place of the database, of a copy from that of which it is one, and of an older run from beside it', async () => {
    const { shop } = await check(all('SELECT 1 WHERE false'));
    const { checkInvariants } = createInvariantActivities(shop.deps);
    const of = { service: 'elsewhere', environment: 'production' };
    const copy = { kind: 'scratch', scratch: 'none', database: 'restored', of } as const;
    expect((await failureOf(runActivity(checkInvariants, { database: copy }))).message).toMatch(/elsewhere/);
    const older = { kind: 'scratch', scratch: 'none', database: 'restored' } as never;
    const asked = failureOf(runActivity(checkInvariants, { database: older, service: 'nowhere' }));
    expect((await asked).message).toMatch(/nowhere/);
    expect(placeOf(shop.ref)).toEqual({ service: 'shop', environment: 'production' });
  });

  it('counts a query that cannot run as a failed invariant with its message, and checks the others', async () => {
    const { results } = await check([
      { name: 'broken', sql: 'SELECT id FROM no_such_table' },
      { name: 'fine', sql: 'SELECT 1 WHERE false' },
    ]);
    expect(results[0]).toMatchObject({ ok: false });
    expect(results[0]?.sample).toContain('no_such_table');
    expect(results[1]).toMatchObject({ ok: true });
  });

  it.each([
    ['DELETE FROM orders RETURNING id'],
    ['WITH gone AS (DELETE FROM orders RETURNING id) SELECT id FROM gone'],
    ['SELECT 1 WHERE false) AS v; COMMIT; DELETE FROM orders; SELECT * FROM (SELECT 1 WHERE false'],
    ["SELECT nextval('orders_id_seq')"],
  ])('changes nothing, whatever the query says: %s', async (sql) => {
    const { shop, results } = await check(all(sql));
    expect(results[0]?.ok).toBe(false);
    expect(await shop.query('SELECT count(*)::int AS n FROM orders')).toEqual([{ n: 5000 }]);
  });

  it('fails rather than to look away where the role may not see every row', async () => {
    const role = { user: 'looker', password: 'looker-password' };
    await server.fresh().then((any) => any.query(`CREATE ROLE looker LOGIN PASSWORD 'looker-password'`));
    const { results } = await check(all('SELECT id FROM orders WHERE total < 8'), {
      role,
      sql: 'GRANT SELECT ON orders TO looker; ALTER TABLE orders ENABLE ROW LEVEL SECURITY; CREATE POLICY none ON orders USING (false)',
    });
    expect(results[0]).toMatchObject({ ok: false });
    expect(results[0]?.sample).toMatch(/row-level security/);
  });

  it('puts no names of customers into its result', async () => {
    const { results } = await check(all('SELECT id, name FROM customers WHERE id = 3'));
    expect(results[0]).toMatchObject({ ok: false, violations: 1 });
    expect(results[0]?.sample).not.toContain('customer 3');
  });
});
