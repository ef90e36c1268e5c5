import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { RunStatus } from '../../src/contract/report';
import { writeAsApplication } from './as-application';
import type { Driver } from './harness';
import { useWaysBack } from './migrate-world';

const {
  driver,
  write,
  has,
  shape,
  contents,
  production,
  breakHealth,
  mendHealth,
  refusesStranger,
  copyingOffsite,
} = useWaysBack();

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
