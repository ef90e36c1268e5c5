import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client as PgClient } from 'pg';
import type { WorkflowHandle } from '@temporalio/client';
import { quietTemporal } from '../support/quiet';
import { writeAsApplication } from './as-application';
import { startDriver, type Driver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
let worker: WorkerProcess;
beforeAll(async () => {
  driver = await startDriver(3_000, false);
  const config = readFileSync(driver.stack.configFile, 'utf8');
  writeFileSync(
    driver.stack.configFile,
    config.replace(/lockDeadlineSeconds: \d+/, 'lockDeadlineSeconds: 6'),
  );
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
});

const running = (handle: WorkflowHandle, title: string | RegExp) =>
  driver.until(handle, ({ timeline }) =>
    timeline.some(
      (entry) =>
        entry.status === 'running' &&
        (typeof title === 'string' ? entry.title === title : title.test(entry.title)),
    ),
  );
const write = (name: string, sql: string) =>
  writeFileSync(join(driver.stack.directory, 'migrations', name), sql);
/** A session of a superuser that holds a lock until it ends. */
const lock = async (statement: string): Promise<PgClient> => {
  const locker = new PgClient({
    connectionString: driver.stack.postgres.url.replace(/\/postgres$/, '/booking_production'),
    application_name: 'forgotten report',
  });
  await locker.connect();
  await locker.query(`BEGIN; ${statement}`);
  return locker;
};
const columnsOf = (table: string) =>
  driver
    .sql<{ attname: string }>(
      `SELECT attname FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attnum > 0 AND NOT attisdropped`,
    )
    .then((rows) => rows.map(({ attname }) => attname));

// First: it makes the ledger.
describe('two runs on one database', () => {
  it('take turns: the second waits for the lease and says for whom', async () => {
    // Nobody can dump it meanwhile.
    const locker = await lock('LOCK TABLE job_runs');
    const first = await driver.start('backUpDatabase');
    await running(first, 'Back up booking/production');
    const second = await driver.start('backUpDatabase');
    const { summary } = await driver.until(second, (status) =>
      status.summary.startsWith('waiting for the lease'),
    );
    expect(summary).toContain(first.workflowId);
    await locker.end();
    const [one, two] = [await driver.end(first), await driver.end(second)];
    expect([one.outcome, two.outcome]).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    const taken = ({ report }: typeof one) =>
      report.timeline.find(({ title }) => title === 'Back up booking/production');
    expect(taken(two)!.startedAt >= taken(one)!.endedAt!).toBe(true);
  });
});

describe('a worker of two that is lost in the middle of a read', () => {
  it.each(['kill', 'freeze'] as const)(
    '%s: the other one goes on within seconds, not after the minute that a read may take',
    async (loss) => {
      const name = `2026_12_10_${loss}.sql`;
      write(name, `ALTER TABLE customers ADD COLUMN ${loss}ed text;\n`);
      const lost = worker;
      // No statement of a read waits longer than 5 s for it.
      const locker = await lock('LOCK TABLE durable_runbooks.ledger');
      try {
        const handle = await driver.start('migrateDatabase', {
          files: [name],
          mode: 'observe',
          staging: 'none',
        });
        await running(handle, 'Read the migrations and the ledger');
        worker = await startWorkerProcess(driver.stack.configFile);
        const lostMs = Date.now();
        await lost[loss]();
        await locker.query('COMMIT');
        // A query would be handed to the frozen one, and waited for.
        const isReading = async () =>
          ((await handle.describe()).raw.pendingActivities ?? []).some(
            ({ activityType }) => activityType?.name === 'readMigrations',
          );
        while (await isReading()) await new Promise((resolve) => setTimeout(resolve, 100));
        expect(Date.now() - lostMs).toBeLessThan(loss === 'kill' ? 15_000 : 25_000);
      } finally {
        await locker.end();
        await lost.kill();
      }
    },
  );
});

describe('a table that stays locked', () => {
  it('ends the run with the blocker named, production untouched and staging taken back', async () => {
    const name = '2026_12_11_blocked.sql';
    write(name, 'ALTER TABLE listings ADD COLUMN blocked text;\n');
    write('2026_12_11_blocked.down.sql', 'ALTER TABLE listings DROP COLUMN blocked;\n');
    const application = await writeAsApplication(driver, 'orders');
    const handle = await driver.start('migrateDatabase', {
      files: [name],
      mode: 'propose',
      accept: ['schema-drift'],
    });
    const { id } = await driver.waiting(handle, 'approval');
    const blocker = await lock('SELECT count(*) FROM listings');
    try {
      await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
      const { outcome, message } = await driver.end(handle);
      expect(outcome).toBe('ROLLED_BACK');
      expect(message).toMatch(/forgotten report/);
      expect(await columnsOf('listings')).not.toContain('blocked');
      await application.expectAsBefore();
    } finally {
      await application.stop();
      await blocker.end();
    }
  });
});

describe('bad input', () => {
  it.each([
    ['an unknown service', { service: 'shop' }, /unknown service "shop"\. Known: booking/],
    ['an unknown environment', { environment: 'moon' }, /unknown environment of booking "moon"/],
    ['a field that does not exist', { envronment: 'production' }, /envronment/],
    [
      'a path instead of a file name',
      { files: ['../etc/passwd'] },
      /files\.0: got "\.\.\/etc\/passwd", wanted the name of a migration/,
    ],
    ['a number as mode', { mode: 7 }, /mode: .*got 7/],
  ])('%s starts nothing and names field and value', async (_, input, message) => {
    const { outcome, message: said } = await driver.run('migrateDatabase', input);
    expect(outcome).toBe('InvalidInput');
    expect(said).toMatch(message);
  });

  it.each([
    ['missing', undefined, /MigrationMissing/],
    ['empty', '', /MigrationInvalid/],
    ['broken', 'ALTER TABLE customers ADD COLUM x text;\n', /syntax error.*\(MigrationInvalid\)/s],
    ['committing', 'ALTER TABLE customers ADD COLUMN y text;\nCOMMIT;\n', /MigrationInvalid/],
  ])('a migration file that is %s ends the run before anything is changed', async (kind, sql, message) => {
    const name = `2026_12_20_${kind}.sql`;
    if (sql !== undefined) write(name, sql);
    const { outcome, message: said } = await driver.run('migrateDatabase', { files: [name] });
    expect(outcome).toBe('FAILED');
    expect(said).toMatch(message);
  });
});
