import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBookkeeping } from '../../src/activities/postgres/session/bookkeeping';
import type { RunStatus } from '../../src/contract/report';
import { runSql } from '../support/postgres';
import { writeAsApplication } from './as-application';
import { STRANGER, useWaysBack } from './migrate-world';

const {
  driver,
  write,
  has,
  shape,
  contents,
  breakHealth,
  mendHealth,
  refusesStranger,
  connect,
  copyingOffsite,
} = useWaysBack();

describe('several migrations', () => {
  it('are applied in the order of their names, transactional or not', async () => {
    write('2026_12_01_first.sql', 'ALTER TABLE customers ADD COLUMN first text;\n');
    write('2026_12_01_first.down.sql', 'ALTER TABLE customers DROP COLUMN first;\n');
    write('2026_12_02_second.sql', 'CREATE INDEX CONCURRENTLY customers_first ON customers (first);\n');
    write('2026_12_02_second.down.sql', 'DROP INDEX CONCURRENTLY customers_first;\n');
    const copied = join(driver.stack.directory, 'copied');
    const { outcome, message } = await copyingOffsite(`printf %s "$BACKUP_ID" > ${copied}`, () =>
      driver.run('migrateDatabase', {
        files: ['2026_12_01_first.sql', '2026_12_02_second.sql'],
        mode: 'auto',
      }),
    );
    expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('2026_12_02_second.sql')]);
    expect(message).toContain(`backup ${readFileSync(copied, 'utf8')} is proven`);
    const order = await driver.sql<{ migration: string }>(
      `SELECT migration FROM durable_runbooks.ledger WHERE statement = 0 AND status = 'finished' ORDER BY id`,
    );
    expect(order.map(({ migration }) => migration)).toEqual([
      '2026_12_01_first.sql',
      '2026_12_02_second.sql',
    ]);
  });
});

describe('a migration without a down script whose verification fails', () => {
  const state = async () => [
    await shape(),
    await shape('staging'),
    await contents('listings'),
    await contents('bookings', 'staging'),
    await contents('customers', 'staging'),
  ];
  const applyAndAsk = async (name: string, restorable = true) => {
    write(name, `ALTER TABLE customers ADD COLUMN ${name.slice(11, -4)} text;\n`);
    const handle = await driver.start('migrateDatabase', {
      files: [name],
      mode: 'propose',
      accept: ['down-missing'],
    });
    const { id } = await driver.waiting(handle, 'approval');
    const { plan } = await handle.query<RunStatus>('status');
    expect(plan!.warnings.filter((one) => one.startsWith('there is no way back by a restore'))).toEqual(
      restorable
        ? []
        : ['production', 'staging']
            .reverse()
            .map(
              (where) =>
                expect.stringContaining(
                  `The server of booking/${where} could take a restore: runbooks_migrator may not create the copy beside: ALTER ROLE runbooks_migrator CREATEDB`,
                ) as string,
            ),
    );
    breakHealth();
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const question = await driver.waiting(handle, 'decision');
    expect(question.question).toMatch(
      /: it has no down script\. Restoring booking\/production from .* Restore\?/,
    );
    return { handle, question };
  };

  const ledger = () => driver.sql('SELECT * FROM durable_runbooks.ledger ORDER BY id');

  it('is taken back by a restore when a person says so, on staging as in production', async () => {
    const application = await writeAsApplication(driver, 'orders');
    const before = [...(await state()), await ledger()];
    const { handle, question } = await applyAndAsk('2026_12_03_restored.sql');
    expect(await has('customers', 'restored')).toBe(true);
    mendHealth();
    await refusesStranger(handle, question, 'restore');
    await driver.answer(handle, 'decide', { question: question.id, choice: 'restore', by: 'ben' });
    const { outcome, message, report } = await driver.agree(handle);
    await application.stop();
    expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining('booking/staging was restored')]);
    expect(await has('customers', 'restored')).toBe(false);
    // The next run is not told that it were applied.
    expect([...(await state()), await ledger()]).toEqual(before);
    // What was written meanwhile is there, or in the former database and counted as lost; no number is given out again.
    const { formerDatabase, rowsLostAtMost, stagingFormerDatabase } = report.facts;
    expect(stagingFormerDatabase).toEqual(expect.stringMatching(/^previous_.*_staging$/));
    const numbers = async (database: unknown, sql = 'SELECT id FROM orders') => {
      const url = driver.stack.postgres.url.replace(/\/postgres$/, `/${String(database)}`);
      return (await runSql<{ id: string }>(url, sql)).map(({ id }) => Number(id));
    };
    const [live, former] = [await numbers('booking_production'), await numbers(formerDatabase)];
    const kept = new Set(live);
    expect(application.acknowledged.filter((id) => !kept.has(id) && !former.includes(id))).toEqual([]);
    const lost = former.filter((id) => !kept.has(id));
    expect(lost.length).toBeGreaterThan(0);
    expect(rowsLostAtMost).toBeGreaterThanOrEqual(lost.length);
    const [next] = await numbers('booking_production', 'INSERT INTO orders DEFAULT VALUES RETURNING id');
    expect(next).toBeGreaterThan(Math.max(...former, ...live));
  });

  it('stays where it is when a person wants to look first: NEEDS_HUMAN, backup kept', async () => {
    await driver.sql('ALTER ROLE runbooks_migrator NOCREATEDB');
    const { handle, question } = await applyAndAsk('2026_12_04_kept.sql', false).finally(() =>
      driver.sql('ALTER ROLE runbooks_migrator CREATEDB'),
    );
    // It changes nothing, so anybody may say so.
    await driver.answer(handle, 'decide', { question: question.id, choice: 'leave it to me', by: 'eve' });
    const task = await driver.waiting(handle, 'task');
    expect(task.question).toMatch(/stays on booking\/production, as decided; its backup is/);
    // That gives the lease back, which lets others change the target.
    await expect(
      driver.answer(handle, 'done', { task: task.id, by: 'eve', note: 'mended' }),
    ).rejects.toMatchObject(STRANGER);
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'mended' });
    const { outcome, message } = await driver.end(handle);
    expect(outcome).toBe('NEEDS_HUMAN');
    expect(message).toMatch(/Health of booking\/production/);
    expect(await has('customers', 'kept')).toBe(true);
    for (const environment of ['production', 'staging'] as const) {
      await driver.sql('ALTER TABLE customers DROP COLUMN kept', environment);
      await driver.sql(`DELETE FROM durable_runbooks.ledger WHERE migration LIKE '%kept%'`, environment);
    }
  });
});

describe('the clone', () => {
  const MIGRATOR = 'ALTER ROLE runbooks_migrator';

  it('has the settings of the database and of the role, with which a file means the same as in production', async () => {
    write('2026_12_09_placed.sql', "CREATE TABLE placed AS SELECT DATE '02.01.2026' AS day;\n");
    write('2026_12_09_placed.down.sql', 'DROP TABLE placed;\n');
    await driver.sql('CREATE SCHEMA extra; GRANT ALL ON SCHEMA extra TO runbooks_migrator');
    await driver.sql(`ALTER DATABASE booking_production SET datestyle = 'German'`);
    await driver.sql(`${MIGRATOR} IN DATABASE booking_production SET search_path = extra, public`);
    try {
      const { outcome, message } = await driver.run('migrateDatabase', {
        files: ['2026_12_09_placed.sql'],
        mode: 'auto',
        staging: 'none',
      });
      expect([outcome, message]).toEqual([
        'SUCCEEDED',
        expect.stringMatching(/^2026_12_09_placed\.sql applied/),
      ]);
      expect(await driver.sql(`SELECT day::text FROM extra.placed`)).toEqual([{ day: '02.01.2026' }]);
    } finally {
      await driver.sql('DROP SCHEMA IF EXISTS extra CASCADE');
      await driver.sql('ALTER DATABASE booking_production RESET datestyle');
      await driver.sql(`${MIGRATOR} IN DATABASE booking_production RESET search_path`);
    }
  });
});

it('goes on with a file of which an earlier run has left a part', async () => {
  const name = '2026_12_29_begun.sql';
  const text =
    '-- runbooks: split\nALTER TABLE customers ADD COLUMN begun text;\nALTER TABLE customers ADD COLUMN ended text;\n';
  write(name, text);
  write('2026_12_29_begun.down.sql', 'ALTER TABLE customers DROP COLUMN begun, DROP COLUMN ended;\n');
  const client = await connect();
  await ensureBookkeeping(client).finally(() => client.end());
  await driver.sql('ALTER TABLE customers ADD COLUMN begun text');
  await driver.sql(
    `INSERT INTO durable_runbooks.ledger (migration, direction, statement, sha256, status, holder, token)
     VALUES ('${name}', 'up', 1, '${createHash('sha256').update(text).digest('hex')}', 'finished', 'earlier/1', 1)`,
  );
  const { outcome, message, report } = await driver.run('migrateDatabase', {
    ...{ files: [name], mode: 'auto', staging: 'none' },
  });
  expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining(`${name} applied`)]);
  expect(report.plan?.warnings).toContainEqual(
    expect.stringMatching(/its way back was not rehearsed: it was applied in part before this run/),
  );
  expect(await has('customers', 'ended')).toBe(true);
  await driver.sql('ALTER TABLE customers DROP COLUMN begun, DROP COLUMN ended');
});

it('applies nothing where another run has been there since the backup', async () => {
  write('2026_12_28_twice.sql', 'ALTER TABLE customers ADD COLUMN twice text;\n');
  write('2026_12_28_twice.down.sql', 'ALTER TABLE customers DROP COLUMN twice;\n');
  const input = { files: ['2026_12_28_twice.sql'], mode: 'propose', staging: 'none' };
  const [first, second] = [
    await driver.start('migrateDatabase', input),
    await driver.start('migrateDatabase', input),
  ];
  const plans = [await driver.waiting(first, 'approval'), await driver.waiting(second, 'approval')];
  const holder = await connect();
  try {
    await holder.query('BEGIN; LOCK TABLE customers IN ROW SHARE MODE');
    await driver.answer(first, 'approve', { plan: plans[0]!.id, by: 'ben' });
    await driver.until(first, ({ timeline }) => timeline.at(-1)?.title.startsWith('Apply ') === true);
    await driver.answer(second, 'approve', { plan: plans[1]!.id, by: 'ben' });
    await driver.until(second, ({ summary }) => /^waiting for the lease/.test(summary));
  } finally {
    await holder.end();
  }
  expect((await driver.end(first)).outcome).toBe('SUCCEEDED');
  const { outcome, message } = await driver.end(second);
  expect([outcome, message]).toEqual([
    'FAILED',
    expect.stringContaining('on booking/production 2026_12_28_twice.sql was applied since the backup'),
  ]);
  expect(await has('customers', 'twice')).toBe(true);
  await driver.sql('ALTER TABLE customers DROP COLUMN twice');
});

describe('migrations by a configured command', () => {
  it('never run in mode auto, are rehearsed like others, and are known the second time', async () => {
    const tool = join(driver.stack.directory, 'tool.cjs');
    writeFileSync(
      tool,
      `const { Client } = require(${JSON.stringify(require.resolve('pg'))});
       const client = new Client({ connectionString: process.env.DATABASE_URL });
       client.connect().then(() => client.query('ALTER TABLE customers ADD COLUMN IF NOT EXISTS by_tool text')).then(() => client.end());\n`,
    );
    const { migrations } = driver.stack.config.services['booking']!;
    const own = join(driver.stack.directory, 'tool-migrations');
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own);
    const before = { ...migrations };
    Object.assign(migrations, {
      directory: own,
      command: { run: [process.execPath, tool], directory: '.', environment: {}, timeoutSeconds: 60 },
    });
    try {
      const handle = await driver.start('migrateDatabase', { mode: 'auto' });
      const { id } = await driver.waiting(handle, 'approval');
      expect(await has('customers', 'by_tool')).toBe(false);
      expect(await has('customers', 'by_tool', 'staging')).toBe(true);
      await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
      const { outcome, message, report } = await driver.end(handle);
      expect([outcome, message]).toEqual(['SUCCEEDED', expect.stringContaining('command ')]);
      expect(report.timeline[0]?.detail).toMatch(/cannot be fenced/);
      expect(await has('customers', 'by_tool')).toBe(true);
      expect((await driver.run('migrateDatabase', {})).outcome).toBe('NOTHING_TO_DO');
    } finally {
      Object.assign(migrations, before, { command: undefined });
    }
  });
});
