import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { Client } from 'pg';
import { ensureBookkeeping } from '../../src/activities/postgres/session/bookkeeping';
import type { RunStatus, Waiting } from '../../src/contract/report';
import { quietTemporal } from '../support/quiet';
import { runSql } from '../support/postgres';
import { writeAsApplication } from './as-application';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver();
  driver.stack.config.services['booking']!.approval.approvers = ['ben'];
});
afterAll(() => driver?.stack.stop());

const write = (name: string, sql: string) =>
  writeFileSync(join(driver.stack.directory, 'migrations', name), sql);
const has = async (table: string, column: string, environment: 'production' | 'staging' = 'production') =>
  (
    await driver.sql(
      `SELECT FROM information_schema.columns WHERE table_name = '${table}' AND column_name = '${column}'`,
      environment,
    )
  ).length > 0;
/** Tables with their columns in order; the application goes on writing rows. */
const shape = (environment: 'production' | 'staging' = 'production') =>
  driver.sql(
    `SELECT c.relname, string_agg(format('%s %s', a.attname, format_type(a.atttypid, a.atttypmod)), ',' ORDER BY a.attnum) AS columns
       FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' GROUP BY c.relname ORDER BY 1`,
    environment,
  );
/** Rows and values of what nobody writes to meanwhile. */
const contents = (table: string, environment: 'production' | 'staging' = 'production') =>
  driver.sql(`SELECT count(*), sum(hashtextextended(t::text, 0)) FROM ${table} AS t`, environment);
const production = () => driver.stack.config.services['booking']!.environments['production']!;
/** Makes the verification of production fail from now on. */
const breakHealth = () => {
  production().application!.health[0]!.url = `${driver.stack.app.url}/no-such-page`;
};
const mendHealth = () => {
  production().application!.health[0]!.url = `${driver.stack.app.url}/health`;
};
beforeEach(mendHealth);
const STRANGER = { cause: { message: 'eve is not among the approvers of booking: ben' } };
const refusesStranger = (handle: WorkflowHandle, { id }: Waiting, choice: string) =>
  expect(driver.answer(handle, 'decide', { question: id, choice, by: 'eve' })).rejects.toMatchObject(
    STRANGER,
  );

/** A session of the role that migrates production. */
async function connect(): Promise<Client> {
  const client = new Client({ connectionString: driver.stack.booking.urls.production.migrator });
  await client.connect();
  return client;
}

async function copyingOffsite<T>(command: string, body: () => Promise<T>): Promise<T> {
  const { backups } = driver.stack.config.services['booking']!;
  backups!.upload = { run: ['/bin/sh', '-c', command], directory: '.', environment: {}, timeoutSeconds: 60 };
  return body().finally(() => delete backups!.upload);
}

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

describe('what happens to the data', () => {
  const pair = (name: string, up: string, down: string) => {
    write(`${name}.sql`, `${up};\n`);
    write(`${name}.down.sql`, `${down};\n`);
    return `${name}.sql`;
  };
  const accept = ['data-loss', 'schema-drift'];
  const approve = async (handle: Awaited<ReturnType<Driver['start']>>) => {
    const { id } = await driver.waiting(handle, 'approval');
    const { plan } = await handle.query<RunStatus>('status');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    return plan!;
  };

  it('is restored where the down script brings a column back, but not what was in it', async () => {
    const file = pair(
      '2026_12_10_drop_phone',
      'ALTER TABLE customers DROP COLUMN phone',
      'ALTER TABLE customers ADD COLUMN phone text',
    );
    const before = [await shape(), await contents('listings')];
    const filled = (await driver.sql('SELECT FROM customers WHERE phone IS NOT NULL')).length;
    expect(filled).toBeGreaterThan(0);
    const handle = await driver.start('migrateDatabase', {
      files: [file],
      mode: 'auto',
      staging: 'none',
      accept,
    });
    const loss = await driver.waiting(handle, 'decision');
    expect(loss.question).toMatch(
      `In booking/production ${file} takes away column public.customers.phone with ${filled} values, and no down script gives that back. Apply it?`,
    );
    breakHealth();
    await driver.answer(handle, 'decide', { question: loss.id, choice: 'apply', by: 'ben' });
    const { waiting } = await driver.until(handle, ({ waiting: all }) =>
      all.some(({ id }) => id !== loss.id),
    );
    const restore = waiting.find(({ id }) => id !== loss.id)!;
    expect(restore.question).toMatch(
      `${file}: its down script does not bring back the values of public.customers (phone) in at most ${filled} rows. Restoring`,
    );
    expect(await has('customers', 'phone')).toBe(false);
    mendHealth();
    await driver.answer(handle, 'decide', { question: restore.id, choice: 'restore', by: 'ben' });
    const { outcome, report } = await driver.agree(handle);
    expect([outcome, report.plan?.actions[0]?.detail]).toEqual([
      'PARTIAL',
      expect.stringContaining('way back: restore, which asks'),
    ]);
    expect([await shape(), await contents('listings')]).toEqual(before);
  });

  it('is asked about in mode auto where rows go, and nothing is touched after a no', async () => {
    const file = pair('2026_12_11_purge', 'DELETE FROM payments', 'SELECT 1');
    const before = [await shape(), await contents('listings')];
    const handle = await driver.start('migrateDatabase', {
      files: [file],
      mode: 'auto',
      staging: 'none',
      accept,
    });
    const { id, question } = await driver.waiting(handle, 'decision');
    expect(question).toMatch(
      /takes away \d{3} rows of public\.payments, and no down script gives that back\. Apply it\?/,
    );
    await driver.answer(handle, 'decide', { question: id, choice: 'stop', by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect([await shape(), await contents('listings')]).toEqual(before);
  });

  it('decides nothing where nothing is lost: a column of seconds ago goes without a question', async () => {
    const file = pair(
      '2026_12_12_remark',
      'ALTER TABLE customers ADD COLUMN remark text',
      'ALTER TABLE customers DROP COLUMN remark',
    );
    const application = await writeAsApplication(driver, 'orders');
    const before = [await shape(), await contents('listings')];
    breakHealth();
    const { outcome, report } = await copyingOffsite('exit 1', () =>
      driver.run('migrateDatabase', {
        files: [file],
        mode: 'auto',
        staging: 'none',
        accept,
      }),
    );
    expect([outcome, report.plan?.actions[0]?.detail]).toEqual([
      'ROLLED_BACK',
      expect.stringContaining('way back: down script, which lost nothing on the clone'),
    ]);
    expect(report.plan?.warnings).toContainEqual(
      expect.stringMatching(/^backup \S+ lies on the disk of its worker alone: .* status 1/),
    );
    expect([await shape(), await contents('listings')]).toEqual(before);
    await application.expectAsBefore();
  });

  it('is asked about where people have written into what goes, once for all files', async () => {
    const files = ['one', 'two', 'three'].map((name, index) =>
      pair(
        `2026_12_1${3 + index}_${name}`,
        `ALTER TABLE customers ADD COLUMN ${name} text${name === 'three' ? ` NOT NULL DEFAULT 'free'` : ''}`,
        `ALTER TABLE customers DROP COLUMN ${name}`,
      ),
    );
    const writer = await writeAsApplication(driver, 'orders');
    const before = [await shape(), await contents('listings')];
    const customers = (await driver.sql('SELECT FROM customers')).length;
    // The application writes into the new columns at once, and then falls ill.
    const application = createServer((_request, response) => {
      void driver
        .sql(
          `UPDATE customers SET two = email, three = 'pro' WHERE id IN (SELECT id FROM customers ORDER BY id LIMIT 3)`,
        )
        .catch(() => undefined)
        .finally(() => response.writeHead(500).end());
    }).listen(0, '127.0.0.1');
    try {
      const handle = await driver.start('migrateDatabase', {
        files,
        mode: 'propose',
        staging: 'none',
        accept,
      });
      await driver.waiting(handle, 'approval');
      const { port } = application.address() as AddressInfo;
      production().application!.health[0]!.url = `http://127.0.0.1:${port}/health`;
      await approve(handle);
      const question = await driver.waiting(handle, 'decision');
      expect(question.question).toBe(
        `${files.join(', ')} must go back from booking/production, and the down scripts take with them ${customers} in column public.customers.three, others than on the clone, 3 in column public.customers.two, 3 of them more than on the clone. Run them?`,
      );
      await refusesStranger(handle, question, 'run the down scripts');
      await driver.answer(handle, 'decide', {
        question: question.id,
        choice: 'run the down scripts',
        by: 'ben',
      });
      expect((await driver.end(handle)).outcome).toBe('ROLLED_BACK');
      expect([await shape(), await contents('listings')]).toEqual(before);
      await writer.expectAsBefore();
    } finally {
      await writer.stop();
      application.close();
    }
  });

  it('is compared after each down script, which is named where it leads elsewhere', async () => {
    const good = pair(
      '2026_12_20_good',
      'ALTER TABLE customers ADD COLUMN good text',
      'ALTER TABLE customers DROP COLUMN good',
    );
    const wrong = pair(
      '2026_12_21_wrong',
      'ALTER TABLE customers ADD COLUMN wrong text',
      'ALTER TABLE customers RENAME COLUMN wrong TO left_over',
    );
    const last = pair('2026_12_22_last', 'CREATE TABLE last (id int PRIMARY KEY)', 'DROP TABLE last');
    const { outcome, message } = await driver.run('migrateDatabase', {
      files: [good, wrong, last],
      mode: 'auto',
      staging: 'none',
      accept,
    });
    expect([outcome, message]).toEqual([
      'FAILED',
      expect.stringContaining(
        `The down script of ${wrong} leads back: differs in column public.customers.left_over`,
      ),
    ]);
  });

  it('is undone down to the first file without a way back, and the plan says so', async () => {
    const first = pair(
      '2026_12_23_first_of_three',
      'ALTER TABLE customers ADD COLUMN first_of_three text',
      'ALTER TABLE customers DROP COLUMN first_of_three',
    );
    write('2026_12_24_second_of_three.sql', 'ALTER TABLE customers ADD COLUMN second_of_three text;\n');
    const third = pair(
      '2026_12_25_third_of_three',
      'ALTER TABLE customers ADD COLUMN third_of_three text',
      'ALTER TABLE customers DROP COLUMN third_of_three',
    );
    const handle = await driver.start('migrateDatabase', {
      files: [first, '2026_12_24_second_of_three.sql', third],
      mode: 'propose',
      staging: 'none',
      accept: [...accept, 'down-missing'],
    });
    const plan = await approve(handle);
    expect(plan.actions.map(({ detail }) => detail?.split('way back: ')[1]?.split('; up: ')[0])).toEqual([
      'down script or restore, which asks',
      'restore, which asks: it has no down script',
      'down script, which lost nothing on the clone',
    ]);
    expect(plan.warnings).toContain(
      `${first}: its way back was not rehearsed: a later migration cannot be undone`,
    );
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    for (const column of ['first', 'second', 'third'])
      await driver.sql(`ALTER TABLE customers DROP COLUMN ${column}_of_three`);
  });
});

it('is a question where one file overwrites what another has overwritten, and none brings back', async () => {
  const files = [1, 2].map((number) => {
    const name = `2026_12_2${5 + number}_overwrite_${number}`;
    const fails = `DO $$ BEGIN IF EXISTS (SELECT FROM pg_tables WHERE tablename = 'refuse_overwriting') THEN RAISE EXCEPTION 'no'; END IF; END $$;\n`;
    write(`${name}.sql`, `UPDATE customers SET phone = '${number}';\n${number === 2 ? fails : ''}`);
    write(`${name}.down.sql`, 'SELECT 1;\n');
    return `${name}.sql`;
  });
  const before = await contents('customers', 'staging');
  const handle = await driver.start('migrateDatabase', {
    ...{ service: 'booking', environment: 'staging', files, mode: 'propose', staging: 'none' },
  });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.sql('CREATE TABLE refuse_overwriting ()', 'staging');
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  const question = await driver.waiting(handle, 'decision');
  expect(question.question).toMatch(
    new RegExp(
      `^${files[0]} must go back from booking/staging, and not every down script could be rehearsed`,
    ),
  );
  await driver.answer(handle, 'decide', { question: question.id, choice: 'restore', by: 'ben' });
  expect(['PARTIAL', 'ROLLED_BACK']).toContain((await driver.agree(handle)).outcome);
  expect(await contents('customers', 'staging')).toEqual(before);
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
