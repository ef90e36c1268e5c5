import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApplyActivities } from '../../../../src/activities/postgres/migrations/apply-activities';
import {
  failureOf,
  startActivity,
  startTestPostgres,
  until,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';

/** Stands for a migration tool: connects with DATABASE_URL and does as it is told. */
const tool = `
  const { appendFileSync, readFileSync, writeFileSync } = require('node:fs');
  const { Client } = require(${JSON.stringify(require.resolve('pg'))});
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  client.connect().then(async () => {
    writeFileSync('variables', JSON.stringify(Object.keys(process.env)));
    appendFileSync('runs', 'run ');
    await client.query(readFileSync('todo.sql', 'utf8'));
    await client.end();
  }).catch((error) => { console.error(error.message + ' at ' + process.env.DATABASE_URL); process.exit(3); });
`;

const migrator = { user: 'migrator', password: 'only-for-the-migrator' };
const template = `
  CREATE TABLE shop (id int);
  CREATE TABLE tool_migrations (name text);
  CREATE ROLE migrator LOGIN PASSWORD '${migrator.password}';
  GRANT ALL ON SCHEMA public TO migrator;
  GRANT SELECT ON tool_migrations TO migrator`;

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres({ template });
});
afterAll(() => postgres.stop());

async function database(todo: string, options: FreshOptions = {}): Promise<TestDatabase> {
  const command = { run: [process.execPath, 'tool.js'] };
  const migrations = { command, lockTimeoutMs: 321, ledgerQuery: 'SELECT name FROM tool_migrations' };
  const db = await postgres.fresh({ service: { migrations }, ...options });
  await db.query(`ALTER DATABASE ${db.name} OWNER TO migrator`);
  writeFileSync(join(db.directory, 'tool.js'), tool);
  writeFileSync(join(db.directory, 'todo.sql'), todo);
  return db;
}

const start = (db: TestDatabase, attempt = 1) =>
  startActivity(
    createApplyActivities(db.deps).runMigrationCommand,
    { service: 'shop', database: db.ref, fence: { target: 'shop/production', token: 5 } },
    { attempt },
  );

const hasRun = (db: TestDatabase): boolean => existsSync(join(db.directory, 'runs'));

/** What new sessions of a role begin with in this database. */
const roleSettings = async (db: TestDatabase): Promise<string[]> =>
  (
    await db.query<{ one: string }>(
      `SELECT unnest(s.setconfig) AS one FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
        WHERE d.datname = current_database()`,
    )
  ).map(({ one }) => one);

describe('a migration tool', () => {
  it('is ended by a cancellation, which leaves no setting behind', async () => {
    const db = await database('SELECT pg_sleep(60)');
    const running = start(db);
    await until(() => hasRun(db));
    expect(await roleSettings(db)).toContain('lock_timeout=321ms');
    running.cancel();
    expect((await failureOf(running.result)).name).toBe('CancelledFailure');
    expect(await roleSettings(db)).toEqual([]);
  });

  it('does not commit after it was ended: the server stops its statement', async () => {
    const db = await database('INSERT INTO shop VALUES (1); SELECT pg_sleep(6)');
    const working = () =>
      db.query(`SELECT 1 FROM pg_stat_activity
                 WHERE query LIKE 'INSERT INTO shop%' AND state = 'active' AND pid <> pg_backend_pid()`);
    const running = start(db);
    await until(async () => (await working()).length === 1);
    running.cancel();
    await running.result.catch(() => undefined);
    await until(async () => (await working()).length === 0);
    expect(await db.query('SELECT * FROM shop')).toEqual([]);
  });

  it('needs no more than a role that owns the database, and inherits no variable of the worker', async () => {
    const db = await database('CREATE TABLE mine (id int)', { role: migrator });
    await start(db).result;
    expect(await db.query(`SELECT tableowner FROM pg_tables WHERE tablename = 'mine'`)).toEqual([
      { tableowner: 'migrator' },
    ]);
    const variables = JSON.parse(readFileSync(join(db.directory, 'variables'), 'utf8')) as string[];
    expect(variables).toContain('DATABASE_URL');
    expect(variables).not.toContain('JEST_WORKER_ID');
    expect(await roleSettings(db)).toEqual([]);
  });

  it('cannot put the password into the failure that is kept, and leaves no setting behind when it fails', async () => {
    const db = await database('SELECT 1 / 0', { role: migrator });
    const { type, nonRetryable, message } = await failureOf(start(db).result);
    expect([type, nonRetryable]).toEqual(['CommandFailed', true]);
    expect(message).toContain('division by zero at postgresql://');
    expect(message).not.toContain(migrator.password);
    expect(await roleSettings(db)).toEqual([]);
  });

  it('holds the fence while it works: a second attempt waits for its end, and finds it done', async () => {
    const db = await database('INSERT INTO shop VALUES (1); SELECT pg_sleep(2)');
    const first = start(db);
    await until(() => hasRun(db));
    const second = start(db, 2);
    const early = await Promise.race([
      second.result,
      new Promise((done) => setTimeout(done, 1_000, 'waits')),
    ]);
    expect(early).toBe('waits');
    expect(second.beats).toContainEqual(
      expect.objectContaining({ phase: 'waiting for the fence of shop/production' }),
    );
    expect(await first.result).toMatchObject({ alreadyDone: false });
    expect(await second.result).toMatchObject({ alreadyDone: true });
    expect(await db.query('SELECT * FROM shop')).toHaveLength(1);
  });

  it('ends when the session that holds its fence is lost', async () => {
    const db = await database('INSERT INTO shop VALUES (1); SELECT pg_sleep(60)');
    const running = start(db);
    await until(() => hasRun(db));
    await db.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'dr:%+/1' AND datname = $1`,
      [db.name],
    );
    const { type, message } = await failureOf(running.result);
    expect(type).toBe('CommandFailed');
    expect(message).toMatch(/held the fence of shop\/production was lost, so what ran under it was stopped/);
    await until(
      async () =>
        (
          await db.query(
            `SELECT 1 FROM pg_stat_activity WHERE query LIKE 'INSERT INTO shop%' AND pid <> pg_backend_pid()`,
          )
        ).length === 0,
    );
    expect(await db.query('SELECT * FROM shop')).toEqual([]);
    expect(await roleSettings(db)).toEqual([]);
  });

  it('is not started on another database than the registered one', async () => {
    const db = await database('SELECT 1', { identity: { database: 'other' } });
    expect((await failureOf(start(db).result)).type).toBe('WrongDatabase');
    expect(hasRun(db)).toBe(false);
  });

  it('cannot be run where none is configured', async () => {
    const db = await database('SELECT 1', { service: {} });
    expect((await failureOf(start(db).result)).type).toBe('InvalidInput');
    expect(hasRun(db)).toBe(false);
  });
});
