import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { bookingUrls, createBookingRoles } from '../../examples/booking/roles';
import { urlFor } from '../../examples/shared/database';
import { startPostgres } from '../../src/host/postgres';
import { runSql } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { startWriter, writeAsApplication } from './as-application';
import { startDriver, type Driver, type Ended } from './harness';

quietTemporal();
let driver: Driver;
let customers: number;
beforeAll(async () => {
  driver = await startDriver();
  customers = await count('customers');
  expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
});
afterAll(() => driver?.stack.stop());

const count = async (table: string) =>
  Number((await driver.sql<{ count: string }>(`SELECT count(*) FROM ${table}`))[0]?.count);

const LIVE = 'booking_production';

interface Restored extends Ended {
  plan: string;
  /** Outcome, message and timeline: what to look at when it went otherwise. */
  story: string;
}

/** One command, and a person who says yes to everything. */
async function restore(input: Record<string, unknown> = {}): Promise<Restored> {
  const ended = await driver.agree(await driver.start('restoreDatabase', { mode: 'propose', ...input }));
  const lines = ended.report.timeline.map(({ title, status, detail }) => `${status} ${title}: ${detail}`);
  return {
    ...ended,
    plan: JSON.stringify(ended.report.plan),
    story: [`${ended.outcome}: ${ended.message}`, ...lines].join('\n'),
  };
}

/** As the application sees it: reads and writes as its own role. */
async function expectHealthy() {
  expect(await count('customers')).toBe(customers);
  const url = driver.stack.booking.urls.production.app;
  const app = new Client({ connectionString: url });
  await app.connect();
  try {
    await app.query('BEGIN');
    const { rowCount } = await app.query(
      `UPDATE customers SET email = 'x' || email WHERE id = (SELECT min(id) FROM customers)`,
    );
    expect(rowCount).toBe(1);
    await app.query('ROLLBACK');
  } finally {
    await app.end();
  }
  expect((await fetch(`${driver.stack.app.url}/health/ready`)).status).toBe(200);
}

describe('restoreDatabase in the disaster', () => {
  afterEach(expectHealthy);

  it('brings back a database that was dropped', async () => {
    await driver.sql(`DROP DATABASE ${LIVE} WITH (FORCE)`, 'postgres');
    const { plan, story } = await restore();
    expect(story).toMatch(/^SUCCEEDED.*how much that is cannot be read/);
    expect(plan).toMatch(/there is no database booking_production: no safety backup/);
  });

  it('brings back what was deleted, however much, and asks before replication is left behind', async () => {
    await driver.sql('TRUNCATE customers, audit_logs CASCADE');
    await driver.sql(
      `CREATE SUBSCRIPTION partners CONNECTION 'host=192.0.2.1 dbname=far password=s3cr3t' PUBLICATION offers WITH (connect = false, slot_name = 'far')`,
    );
    const handle = await driver.start('restoreDatabase', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const { question, id: asked } = await driver.waiting(handle, 'decision');
    expect(question).toMatch(/subscription partners to offers: it has to be made again\. Restore\?$/);
    expect(
      await driver.sql(`SELECT datname FROM pg_database WHERE datname ~ 'restored|new_'`, 'postgres'),
    ).toEqual([]);
    await driver.answer(handle, 'decide', { question: asked, choice: 'restore', by: 'ben' });
    const { outcome, message, report } = await driver.agree(handle);
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/replication is to be set up again by hand \(subscription partners\)/),
    ]);
    expect(report.facts['safetyBackup']).toMatch(/-before$/);
    const task = report.timeline.find(({ title }) => title === 'Replication is to be set up again');
    expect(task?.detail).toMatch(
      /^in previous_\S+: SELECT subconninfo .*\n[^]*in booking_production: CREATE SUBSCRIPTION "partners" .* slot_name = 'far'/,
    );
  });

  it('brings back all of a database of which a table, a sequence and the fence cannot be read', async () => {
    for (const name of ['customers', 'customers_id_seq', 'durable_runbooks.fence']) await loseFile(name);
    const { plan, report, story } = await restore();
    expect(story).toMatch(/^SUCCEEDED/);
    expect(plan).toMatch(
      /safety backup will lack what cannot be read: public\.customers \(could not open file/,
    );
    expect(report.timeline.find(({ title }) => title.startsWith('Back up'))?.detail).toMatch(
      /without public\.customers_id_seq, public\.customers, which cannot be read/,
    );
  });

  it('brings back a database that was made read-only', async () => {
    await driver.sql(`DELETE FROM audit_logs; ALTER DATABASE ${LIVE} SET default_transaction_read_only = on`);
    const { story } = await restore();
    expect(story).toMatch(/^SUCCEEDED/);
  });

  it('brings back a database that lets nobody in', async () => {
    await driver.sql(`ALTER DATABASE ${LIVE} ALLOW_CONNECTIONS false`, 'postgres');
    const { plan, story } = await restore();
    expect(story).toMatch(/^SUCCEEDED/);
    expect(plan).toMatch(/lets nobody in/);
  });

  it('says before anything is touched what the server, and our role, lack', async () => {
    await driver.sql(
      `ALTER ROLE booking_app RENAME TO booking_app_gone; ALTER ROLE runbooks_migrator NOCREATEDB;
       REVOKE pg_signal_backend, booking_owner FROM runbooks_migrator`,
      'postgres',
    );
    try {
      const { outcome, message } = await driver.run('restoreDatabase', { mode: 'auto' });
      expect(outcome).toBe('FAILED');
      for (const said of [
        /lacks the role booking_app,.*CREATE ROLE booking_app/,
        /ALTER ROLE runbooks_migrator CREATEDB/,
        /GRANT pg_signal_backend TO runbooks_migrator/,
        /may not rename booking_production, .*GRANT booking_owner TO runbooks_migrator/,
      ])
        expect(message).toMatch(said);
    } finally {
      await driver.sql(
        `ALTER ROLE booking_app_gone RENAME TO booking_app; ALTER ROLE runbooks_migrator CREATEDB;
         GRANT pg_signal_backend, booking_owner TO runbooks_migrator`,
        'postgres',
      );
    }
  });

  it('loses nothing that was acknowledged, and gives no number out twice, while somebody writes', async () => {
    await driver.sql(
      `CREATE TABLE IF NOT EXISTS orders (id bigserial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp()); GRANT INSERT, SELECT ON orders TO booking_app; GRANT USAGE ON SEQUENCE orders_id_seq TO booking_app; ALTER TABLE orders OWNER TO booking_owner`,
    );
    expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
    const url = driver.stack.booking.urls.production.app;
    const writer = startWriter(url, 'INSERT INTO orders DEFAULT VALUES RETURNING id');
    const { report, story } = await restore();
    await writer.stop();
    expect(story).toMatch(/^SUCCEEDED/);
    const former = new Client({
      connectionString: driver.stack.postgres.url.replace(
        /\/postgres$/,
        `/${String(report.facts['formerDatabase'])}`,
      ),
    });
    await former.connect();
    const ids = async (client: Pick<Client, 'query'>) =>
      (await client.query<{ id: string }>('SELECT id FROM orders')).rows.map(({ id }) => Number(id));
    const before = await ids(former);
    await former.end();
    const after = (await driver.sql<{ id: string }>('SELECT id FROM orders')).map(({ id }) => Number(id));
    expect(new Set([...before, ...after]).size).toBe(before.length + after.length);
    const kept = new Set([...before, ...after]);
    expect(writer.acknowledged.filter((id) => !kept.has(id))).toEqual([]);
    expect(writer.acknowledged.length).toBeGreaterThan(20);
    // What the report says was lost is what is in the former database and not in the live one.
    expect(report.facts['rowsLostAtMost']).toBeGreaterThanOrEqual(before.length);
    expect(report.facts['rowsOnlyInFormerDatabase']).toBe(0);
  });

  it('takes an empty server for the replacement of the lost one, and says what to enter', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'dr-test-'));
    chmodSync(directory, 0o755);
    const server = await startPostgres({ directory, durable: false });
    const { database } = driver.stack.config.services['booking']!.environments['production']!;
    const lost = database.url;
    try {
      const credentials = await createBookingRoles(server.url);
      database.url = bookingUrls(server.url, LIVE, credentials).migrator;
      const { story, plan, report } = await restore();
      expect(story).toMatch(/^SUCCEEDED.*enter identity\.systemIdentifier: "\d+" in the configuration/);
      expect(plan).toMatch(/the server is not the registered one of booking\/production/);
      expect(report.facts['formerDatabase']).toBeUndefined();
      const [there] = await runSql<{ count: string }>(
        urlFor(server.url, LIVE),
        'SELECT count(*) FROM customers',
      );
      expect(Number(there?.count)).toBe(customers);
      // It is not empty any more: until its identity is entered, nothing of ours goes there.
      const again = await driver.run('restoreDatabase', { mode: 'auto' });
      expect(`${again.outcome}: ${again.message}`).toMatch(/^FAILED.*not the registered one.*is not empty/);
    } finally {
      database.url = lost;
      await server.stop();
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('goes back, and takes writes again, and restores from the very safety backup', async () => {
    const { restore: settings } = driver.stack.config.services['booking']!;
    // There it fails, and back it works.
    const once = ['sh', '-c', '! mkdir "$0"', join(driver.stack.directory, 'traffic-was-there')];
    settings.switchTraffic = { run: once, directory: '.', environment: {}, timeoutSeconds: 60 };
    const application = await writeAsApplication(driver, 'receipts');
    const { story, report } = await restore().finally(() => delete settings.switchTraffic);
    expect(story).toMatch(/^ROLLED_BACK/);
    expect(story).toMatch(/done Swap back/);
    await application.expectAsBefore();
    await expectHealthy();
    const again = await restore({ recoveryPoint: report.facts['safetyBackup'] });
    expect(again.story).toMatch(/^SUCCEEDED/);
  });

  it('asks anew when more is lost than was approved', async () => {
    // Of the database that is live now, so that its counters say how much it is.
    expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
    const handle = await driver.start('restoreDatabase', { mode: 'propose' });
    const first = await driver.waiting(handle, 'approval');
    for (let round = 0; round < 10; round += 1) await driver.sql('UPDATE customers SET email = email');
    // Counters arrive when a session ends.
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await driver.answer(handle, 'approve', { plan: first.id, by: 'ben' });
    const second = await driver.until(handle, ({ waiting }) => waiting.some(({ id }) => id !== first.id));
    await driver.answer(handle, 'reject', { plan: second.waiting[0]!.id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
  });

  it('offers to resume writes where going back stops, and says that they are stopped', async () => {
    const { restore: settings } = driver.stack.config.services['booking']!;
    const { binDirectory, url } = driver.stack.postgres;
    const command = (...run: string[]) => ({ run, directory: '.', environment: {}, timeoutSeconds: 60 });
    const psql = (...statements: string[]) =>
      command(join(binDirectory, 'psql'), url, ...statements.flatMap((one) => ['-c', one]));
    Object.assign(settings, {
      stopWrites: psql(
        `ALTER DATABASE ${LIVE} SET default_transaction_read_only = on`,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${LIVE}'`,
      ),
      resumeWrites: psql(`ALTER DATABASE ${LIVE} RESET default_transaction_read_only`),
      switchTraffic: command('false'),
    });
    const handle = await driver.start('restoreDatabase', { mode: 'propose' });
    try {
      const { id } = await driver.waiting(handle, 'approval');
      await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
      const swap = await driver.waiting(handle, 'decision');
      await driver.answer(handle, 'decide', { question: swap.id, choice: 'keep it', by: 'ben' });
      const { waiting } = await driver.until(handle, ({ waiting: open }) =>
        open.some(({ kind, id: one }) => kind === 'decision' && one !== swap.id),
      );
      const offer = waiting.find(({ kind }) => kind === 'decision')!;
      expect(offer.question).toMatch(
        /^Writes to booking\/production are stopped by restore\.stopWrites, .*Resume writes now\?$/,
      );
      await driver.answer(handle, 'decide', { question: offer.id, choice: 'Resume writes', by: 'ben' });
      const repair = await driver.waiting(handle, 'task');
      await driver.answer(handle, 'done', { task: repair.id, by: 'ben', note: 'switched by hand' });
      expect((await driver.end(handle)).outcome).toBe('NEEDS_HUMAN');
    } finally {
      for (const name of ['stopWrites', 'resumeWrites', 'switchTraffic'] as const) delete settings[name];
    }
  });
});

/** The file of a table is gone, as after a broken disk. */
async function loseFile(table: string) {
  await driver.sql(
    `SET allow_system_table_mods = on; UPDATE pg_class SET relfilenode = 4000000000 WHERE oid = '${table}'::regclass`,
  );
  // Or the test would prove nothing.
  await expect(driver.sql(`SELECT * FROM ${table}`)).rejects.toThrow(/could not open file/);
}
