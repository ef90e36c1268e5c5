import { Client } from 'pg';
import {
  failureOf,
  startTestPostgres,
  until,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import {
  apply,
  fence,
  hasColumn,
  ledgerOf,
  shopSchema,
  startApply,
  writeMigration,
} from './migration-fixtures';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

const clients: Client[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});

/** Like a running pg_dump: an old snapshot, nothing else. */
async function oldSnapshot(database: TestDatabase): Promise<Client> {
  const client = new Client({ connectionString: server.urlOf(database.name), application_name: 'dump' });
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  await client.query('SELECT count(*) FROM customers');
  return client;
}

const BUILD = 'CREATE INDEX CONCURRENTLY orders_total ON orders (total);';
const validity = async (database: TestDatabase, name = 'orders_total') =>
  (
    await database.query<{ indisvalid: boolean }>(
      `SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('${name}')`,
    )
  )[0]?.indisvalid;
/** What a build that failed leaves: a unique one over duplicates. */
async function leaveInvalid(database: TestDatabase): Promise<void> {
  await database
    .query('CREATE UNIQUE INDEX CONCURRENTLY orders_total ON orders ((1))')
    .catch(() => undefined);
  expect(await validity(database)).toBe(false);
}

describe('statements outside a transaction', () => {
  it('waits longer than lock_timeout for an old snapshot and ends with a valid index', async () => {
    const shop = await server.fresh({ service: { migrations: { lockTimeoutMs: 100 } } });
    const dump = await oldSnapshot(shop);
    const run = startApply(
      shop,
      writeMigration(shop, '001.sql', BUILD, 'DROP INDEX CONCURRENTLY orders_total;'),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await dump.query('COMMIT');
    const result = await run.result;
    expect(result).toMatchObject({ alreadyDone: false, totalBlockMs: 0 });
    expect(result.blockers.map(({ application }) => application)).toContain('dump');
    expect(await validity(shop)).toBe(true);
    const again = await apply(
      shop,
      { ...writeMigration(shop, '001.sql', BUILD, 'DROP INDEX CONCURRENTLY orders_total;') },
      { direction: 'down' },
    );
    expect(again.alreadyDone).toBe(false);
    expect(await validity(shop)).toBeUndefined();
  });

  it('holds the fence while it builds, so that no other run can begin anything', async () => {
    const shop = await server.fresh();
    const dump = await oldSnapshot(shop);
    const run = startApply(shop, writeMigration(shop, '001.sql', BUILD));
    await until(async () => (await validity(shop)) === false);
    const other = apply(
      shop,
      writeMigration(shop, '002.sql', 'ALTER TABLE orders ADD COLUMN x int;'),
      {
        fence: { ...fence, token: 99 },
      },
      { workflowId: 'other-run' },
    );
    expect(await failureOf(other)).toMatchObject({ type: 'FenceBusy', nonRetryable: false });
    expect(await hasColumn(shop, 'orders', 'x')).toBe(false);
    await dump.query('COMMIT');
    await run.result;
  });

  it('removes its invalid index when the build fails, and says which rows are in the way', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(
      shop,
      '001.sql',
      'CREATE UNIQUE INDEX CONCURRENTLY orders_once ON orders (customer_id);',
      'DROP INDEX CONCURRENTLY orders_once;',
    );
    const failure = await failureOf(apply(shop, migration));
    expect(failure).toMatchObject({ type: 'MigrationFailed' });
    expect(failure.message).toMatch(/001\.sql:1.*SQLSTATE 23505.*Find the duplicates/s);
    expect(await validity(shop, 'orders_once')).toBeUndefined();
    expect(await apply(shop, migration, { direction: 'down' })).toMatchObject({ alreadyDone: true });
    // Nothing happened, so nothing is remembered and the file may be corrected.
    expect(await ledgerOf(shop)).toEqual([]);
  });

  it('removes its invalid index when it is cancelled', async () => {
    const shop = await server.fresh();
    const dump = await oldSnapshot(shop);
    const run = startApply(shop, writeMigration(shop, '001.sql', BUILD));
    await until(async () => (await validity(shop)) === false);
    run.cancel();
    expect((await failureOf(run.result)).name).toBe('CancelledFailure');
    await dump.query('COMMIT');
    expect(await validity(shop)).toBeUndefined();
  });

  it.each(['WORKER_SHUTDOWN', 'NOT_FOUND'] as const)(
    'goes on building when its attempt is lost (%s), and the next attempt takes that build',
    async (reason) => {
      const shop = await server.fresh();
      const migration = writeMigration(shop, '001.sql', BUILD);
      const dump = await oldSnapshot(shop);
      const run = startApply(shop, migration);
      await until(async () => (await validity(shop)) === false);
      const oid = () => shop.query(`SELECT 'orders_total'::regclass::int AS oid`);
      const before = await oid();
      run.cancel(reason);
      expect((await failureOf(run.result)).name).toBe('CancelledFailure');
      const next = startApply(shop, migration, {}, { attempt: 2 });
      await until(() => JSON.stringify(next.beats).includes('the build that an earlier attempt began'));
      await dump.query('COMMIT');
      expect((await next.result).alreadyDone).toBe(false);
      expect(await oid()).toEqual(before);
      expect(await validity(shop)).toBe(true);
    },
  );

  it('never drops or trusts an invalid index that it did not make, IF NOT EXISTS or not', async () => {
    const shop = await server.fresh();
    await leaveInvalid(shop);
    for (const text of [BUILD, BUILD.replace('CONCURRENTLY', 'CONCURRENTLY IF NOT EXISTS')]) {
      const failure = await failureOf(apply(shop, writeMigration(shop, '001.sql', text)));
      expect(failure).toMatchObject({ type: 'MigrationConflict' });
      expect(failure.message).toMatch(/public\.orders_total is invalid.*DROP INDEX CONCURRENTLY/s);
      expect(await validity(shop)).toBe(false);
    }
  });

  it('takes a finished build whose finished row was lost for done', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', BUILD);
    await apply(shop, migration);
    await shop.query(`DELETE FROM durable_runbooks.ledger WHERE statement = 0`);
    await shop.query(`UPDATE durable_runbooks.ledger SET status = 'started', finished_at = NULL`);
    expect(await apply(shop, migration)).toMatchObject({ alreadyDone: false });
    expect(await validity(shop)).toBe(true);
    expect((await ledgerOf(shop)).map(({ statement, status }) => `${statement} ${status}`)).toEqual([
      '1 finished',
      '0 finished',
    ]);
  });

  it('waits for a build that is still running instead of dropping its index', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', BUILD);
    const dump = await oldSnapshot(shop);
    const run = startApply(shop, migration, {}, { workflowId: 'first' });
    await until(async () => (await validity(shop)) === false);
    // Another run of ours, to which the fence of the first means nothing.
    const second = startApply(
      shop,
      migration,
      { fence: { target: 'elsewhere', token: 1 } },
      { workflowId: 'second' },
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await validity(shop)).toBe(false);
    await dump.query('COMMIT');
    expect((await run.result).alreadyDone).toBe(false);
    await second.result;
    expect(await validity(shop)).toBe(true);
  });

  it('does not take an index that never was for one that it dropped', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', 'DROP INDEX CONCURRENTLY no_such_index;');
    expect((await failureOf(apply(shop, migration))).message).toContain('SQLSTATE 42704');
  });

  it('runs VACUUM, REINDEX CONCURRENTLY and DROP INDEX CONCURRENTLY beside ordinary statements', async () => {
    const shop = await server.fresh();
    const text = `ALTER TABLE orders ADD COLUMN note text;
${BUILD}
REINDEX INDEX CONCURRENTLY orders_total;
VACUUM (ANALYZE) orders;
DROP INDEX CONCURRENTLY orders_total;`;
    const result = await apply(shop, writeMigration(shop, '001.sql', text));
    expect(result).toMatchObject({ statements: 5, alreadyDone: false });
    expect(await validity(shop)).toBeUndefined();
    expect(await hasColumn(shop, 'orders', 'note')).toBe(true);
    expect((await ledgerOf(shop)).map(({ statement }) => statement)).toEqual([1, 2, 3, 4, 5, 0]);
  });
});
