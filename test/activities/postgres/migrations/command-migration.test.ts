import { createApplyActivities } from '../../../../src/activities/postgres/migrations/apply-activities';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import type { CommandMigrationInput } from '../../../../src/activities/postgres/migrations/command-migration';
import {
  failureOf,
  runActivity,
  startActivity,
  startTestPostgres,
  until,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import { fence, hasColumn, ledgerOf, shopSchema, writeMigration } from './migration-fixtures';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

/** A migration tool of twelve lines: applies SQL with a connection of its own and keeps a table of names. */
const tool = (...steps: [name: string, sql: string][]): string => `
  const { Client } = require(${JSON.stringify(require.resolve('pg'))});
  (async () => {
    const client = new Client({ connectionString: process.env.DATABASE_URL });
    await client.connect();
    await client.query('CREATE TABLE IF NOT EXISTS tool_migrations (name text)');
    for (const [name, sql] of ${JSON.stringify(steps)}) {
      await client.query(sql);
      await client.query('INSERT INTO tool_migrations VALUES ($1)', [name]);
    }
    await client.end();
  })().catch((error) => { console.error(error.message); process.exit(1); });`;

const fresh = (script: string, changed: Record<string, unknown> = {}): Promise<TestDatabase> =>
  server.fresh({
    service: {
      migrations: {
        command: { run: [process.execPath, '-e', script] },
        ledgerQuery: 'SELECT name FROM tool_migrations ORDER BY 1',
        lockTimeoutMs: 300,
        ...changed,
      },
    },
  });

const start = (database: TestDatabase, attempt = 1) =>
  startActivity<CommandMigrationInput, unknown>(
    createApplyActivities(database.deps).runMigrationCommand,
    { service: 'shop', database: database.ref, fence },
    { attempt },
  );
const roleSettings = (database: TestDatabase) =>
  database.query(
    `SELECT 1 FROM pg_db_role_setting s WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())`,
  );

describe('runMigrationCommand', () => {
  it('runs the tool once and reads from its own table what it applied', async () => {
    const shop = await fresh(tool(['one', 'ALTER TABLE orders ADD COLUMN a int'], ['two', 'SELECT 2']));
    expect(await start(shop).result).toMatchObject({ applied: ['one', 'two'], alreadyDone: false });
    expect(await hasColumn(shop, 'orders', 'a')).toBe(true);
    expect((await ledgerOf(shop)).map(({ statement, status }) => `${statement} ${status}`)).toEqual([
      '1 finished',
      '0 finished',
    ]);
    expect(await start(shop, 2).result).toMatchObject({ alreadyDone: true });
    expect(await roleSettings(shop)).toEqual([]);
  });

  it('bounds how long its connections wait for a lock, and says what it applied before it failed', async () => {
    const shop = await fresh(
      tool(['one', 'ALTER TABLE orders ADD COLUMN a int'], ['two', 'ALTER TABLE customers ADD COLUMN a int']),
    );
    const blocker = startActivity(
      async () => shop.query('BEGIN; LOCK TABLE customers; SELECT pg_sleep(3); COMMIT'),
      undefined,
    );
    await until(
      async () =>
        (
          await shop.query(
            `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%' AND wait_event = 'PgSleep'`,
          )
        ).length > 0,
    );
    const failure = await failureOf(start(shop).result);
    expect(failure).toMatchObject({ type: 'CommandFailed', nonRetryable: true });
    expect(failure.message).toMatch(/lock timeout.*By its own table it applied one\./s);
    await blocker.result;
    expect(await hasColumn(shop, 'customers', 'a')).toBe(false);
    expect(await roleSettings(shop)).toEqual([]);
  });

  it('does not run a second time by itself after it was interrupted', async () => {
    const shop = await fresh(tool(['one', 'SELECT pg_sleep(20)']));
    const run = start(shop);
    await until(
      async () =>
        (await shop.query(`SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(20)'`)).length > 0,
    );
    run.cancel();
    expect((await failureOf(run.result)).name).toBe('CancelledFailure');
    expect(await roleSettings(shop)).toEqual([]);
    const failure = await failureOf(start(shop, 2).result);
    expect(failure).toMatchObject({ type: 'MigrationFailed', nonRetryable: true });
    expect(failure.message).toMatch(/interrupted.*outcome is unknown/);
  });

  it('keeps a lock_timeout that the role had before', async () => {
    const shop = await fresh(tool(['one', 'SELECT 1']));
    await shop.query(`ALTER ROLE postgres IN DATABASE ${shop.name} SET lock_timeout = '7s'`);
    await start(shop).result;
    expect(await shop.query('SHOW lock_timeout')).toEqual([{ lock_timeout: '7s' }]);
  });

  it('is refused with a stale token before it starts anything', async () => {
    const shop = await fresh(tool(['one', 'ALTER TABLE orders ADD COLUMN a int']));
    await shop.query('SELECT 1');
    await start(shop).result;
    const stale = startActivity(createApplyActivities(shop.deps).runMigrationCommand, {
      service: 'shop',
      database: shop.ref,
      fence: { ...fence, token: 1 },
    });
    expect(await failureOf(stale.result)).toMatchObject({ type: 'StaleFencingToken' });
  });
});

describe('a command as a migration', () => {
  it('is pending, is applied by applyMigration, and is void once its files changed', async () => {
    const shop = await fresh(tool(['one', 'ALTER TABLE orders ADD COLUMN a int']));
    writeMigration(shop, 'schema.sql', 'whatever the tool reads');
    const { readMigrations } = createMigrationActivities(shop.deps);
    const { pending } = await runActivity(readMigrations, { ...shop.place, files: [] });
    expect(pending).toMatchObject([{ transactional: false, downSha256: null }]);
    const input = {
      service: 'shop',
      database: shop.ref,
      migration: pending[0]!,
      direction: 'up' as const,
      fence,
    };
    const { applyMigration } = createApplyActivities(shop.deps);
    writeMigration(shop, 'schema.sql', 'something else');
    expect(await failureOf(runActivity(applyMigration, input))).toMatchObject({ type: 'MigrationChanged' });
    writeMigration(shop, 'schema.sql', 'whatever the tool reads');
    expect(await runActivity(applyMigration, input)).toMatchObject({ alreadyDone: false, direction: 'up' });
    expect(
      await failureOf(runActivity(applyMigration, { ...input, direction: 'down' as const })),
    ).toMatchObject({ type: 'MigrationMissing' });
  });
});
