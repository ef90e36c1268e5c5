import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { configure, startDriver, titles, type Driver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const RUNBOOK = 'recoverFromCorruption';
const AMOUNT = 'a payment is over the price of its booking';
let driver: Driver;
let worker: WorkerProcess;
let flag: string;
beforeAll(async () => {
  driver = await startDriver(400, false);
  // What is written meanwhile is no matter here: rows are compared to the last one.
  await driver.stack.app.stop();
  flag = join(driver.stack.directory, 'fails');
  configure(driver, {
    'environments.production.application': undefined,
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${flag}`] },
    'environments.production.recovery.corruption': {
      checks: [
        {
          name: AMOUNT,
          table: 'public.payments',
          sql: 'SELECT p.id FROM payments p JOIN bookings b ON b.id = booking_id WHERE amount_cents <> price_cents',
        },
      ],
      maxRows: 25,
      batchRows: 1,
    },
  });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
  good = await rows();
});
afterEach(async () => {
  rmSync(flag, { force: true });
  expect(await takesWrites()).toBe(true);
});
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
});

let good: unknown[];
const TABLES = ['customers', 'bookings', 'payments', 'slots', 'action_tokens', 'listings'];
const rows = () =>
  Promise.all(TABLES.map((table) => driver.sql(`SELECT t.*::text FROM ${table} t ORDER BY 1`)));
/** As faulty jobs do: past foreign keys and triggers. */
const spoil = (sql: string) => driver.sql(`SET session_replication_role = replica; ${sql}`);
const LOSE = (count: number) =>
  `DELETE FROM payments WHERE id IN (SELECT id FROM payments ORDER BY id LIMIT ${count})`;
const NONSENSE =
  'UPDATE payments SET amount_cents = 1 WHERE id IN (SELECT id FROM payments ORDER BY id DESC LIMIT 3)';
const ORPHANS = `UPDATE bookings SET customer_id = 987654 WHERE id IN (SELECT id FROM bookings ORDER BY id LIMIT 2)`;
const takesWrites = async () => {
  const [row] = await driver.sql<{ set: string[] | null }>(
    `SELECT (SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = 'booking_production' AND setrole = 0) AS set`,
  );
  return !(row?.set ?? []).includes('default_transaction_read_only=on');
};
const propose = async (input: Record<string, unknown> = {}) => {
  const handle = await driver.start(RUNBOOK, input);
  const { id } = await driver.waiting(handle, 'approval');
  return { handle, plan: id };
};
const approve = async (input: Record<string, unknown> = {}): Promise<WorkflowHandle> => {
  const { handle, plan } = await propose(input);
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  return handle;
};
const mended = async (input: Record<string, unknown> = {}) => driver.end(await approve(input));

it('has nothing to do where nothing is missing and no rule is broken', async () => {
  const { outcome, message } = await driver.run(RUNBOOK);
  expect([outcome, message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(
      /^no rule of booking\/production is broken, and no row of the backup is missing; not compared: "public"\."idempotency_keys": its primary key has several columns;/,
    ) as string,
  ]);
});

it('changes nothing while it only observes, or is denied, and asks a person in every mode', async () => {
  await spoil(`${LOSE(4)}; ${NONSENSE}`);
  const before = await rows();
  const observed = await driver.run(RUNBOOK, { mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan!.actions).toEqual([
    { action: 'stop writes', target: 'booking/production' },
    {
      action: 'bring rows back',
      target: 'booking/production: "public"."payments"',
      count: 7,
      detail: '4 missing, 3 put back as they were; 0 newer than the backup stay',
    },
    { action: 'verify, and resume writes', target: 'booking/production' },
  ]);
  expect(observed.report.plan!.warnings).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/: rows that were deleted on purpose since .* come back as well/) as string,
      expect.stringMatching(/^broken: .*a payment is over the price of its booking: 3 rows/) as string,
      expect.stringMatching(/^left to a person: "public"\."idempotency_keys"/) as string,
      'damage of indexes was not looked for: the extension amcheck is not installed',
      'rows are changed with every right of the runbooks: no recovery.corruption.role is configured',
    ]),
  );
  const { handle, plan } = await propose({ mode: 'auto' });
  await driver.answer(handle, 'reject', { plan, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(await rows()).toEqual(before);
});

it('takes back exactly what it did where the smoke test fails afterwards, and resumes writes', async () => {
  const before = await rows();
  writeFileSync(flag, '');
  const { outcome, report } = await mended();
  expect(outcome).toBe('ROLLED_BACK');
  expect(titles(report)).toEqual(
    expect.arrayContaining(['Stop writes', 'Resume writes', 'Take back: Bring the rows back']),
  );
  expect(await rows()).toEqual(before);
});

it('asks anew where somebody changes an affected row while the plan waits, and brings the others back', async () => {
  const { handle, plan } = await propose();
  // That one is right again by somebody's hand.
  await spoil(`UPDATE payments p SET amount_cents = price_cents FROM bookings b WHERE b.id = booking_id AND p.id =
    (SELECT id FROM payments WHERE amount_cents = 1 ORDER BY id LIMIT 1)`);
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  const again = await driver.until(handle, ({ waiting }) => waiting.some(({ id }) => id !== plan));
  await driver.answer(handle, 'approve', { plan: again.waiting[0]!.id, by: 'ben' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.facts['rowsBroughtBack']]).toEqual(['SUCCEEDED', 6]);
  expect(await rows()).toEqual(good);
});

it('mends foreign keys that were broken past their triggers, and leaves what is newer', async () => {
  await spoil(
    `${ORPHANS}; DELETE FROM customers WHERE id IN (SELECT customer_id FROM bookings WHERE customer_id <> 987654 LIMIT 2)`,
  );
  await driver.sql(`INSERT INTO customers (email, full_name) VALUES ('newer@example.test', 'n')`);
  const { outcome, report } = await mended();
  expect([outcome, report.plan!.actions.map(({ detail }) => detail)]).toEqual([
    'SUCCEEDED',
    [
      undefined,
      '0 missing, 2 put back as they were; 0 newer than the backup stay',
      expect.stringMatching(
        /^[12] missing, 0 put back as they were; 1 newer than the backup stay$/,
      ) as string,
      undefined,
    ],
  ]);
  await driver.sql(`DELETE FROM customers WHERE email = 'newer@example.test'`);
  expect(await rows()).toEqual(good);
});

it('refuses where more is damaged than a run may touch, and names the restore', async () => {
  await spoil(LOSE(30));
  const { outcome, message } = await driver.run(RUNBOOK);
  expect([outcome, message]).toEqual([
    'FAILED',
    expect.stringMatching(
      /^FAILED: more than 25 rows are missing or broken in booking\/production.*restoreDatabase brings back all of it\./,
    ) as string,
  ]);
  const missing = await driver.sql<{ n: number }>('SELECT count(*)::int AS n FROM payments');
  expect((good[2] as unknown[]).length - missing[0]!.n).toBe(30);
  // Back by hand, from the images of before.
  const before = good[2] as { payments?: string; t?: string }[];
  for (const row of before.slice(0, 30))
    await spoil(
      `INSERT INTO payments SELECT ('${String(Object.values(row)[0]).replace(/'/g, "''")}'::payments).* ON CONFLICT DO NOTHING`,
    );
  expect(await rows()).toEqual(good);
});

it('is done once where its worker is killed in the middle, and takes writes afterwards', async () => {
  await spoil(LOSE(12));
  await driver.sql(
    `CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
     CREATE TRIGGER dawdle BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION dawdle();
     ALTER TABLE payments ENABLE ALWAYS TRIGGER dawdle`,
  );
  const handle = await approve();
  const gone = async () =>
    (good[2] as unknown[]).length -
    (await driver.sql<{ n: number }>('SELECT count(*)::int AS n FROM payments'))[0]!.n;
  await until(async () => (await gone()) <= 9);
  expect(await takesWrites()).toBe(false);
  await worker.kill();
  expect(await gone()).toBeGreaterThan(0);
  await driver.sql('BEGIN READ WRITE; DROP TRIGGER dawdle ON payments; DROP FUNCTION dawdle(); COMMIT');
  worker = await startWorkerProcess(driver.stack.configFile);
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.facts['rowsBroughtBack']]).toEqual(['SUCCEEDED', 12]);
  expect(await rows()).toEqual(good);
});

it('passes over a backup in which it is not well, and takes the one before', async () => {
  await spoil(NONSENSE);
  expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
  const one = await driver.run(RUNBOOK, { backups: 1 });
  expect([one.outcome, one.message]).toEqual([
    'NEEDS_HUMAN',
    expect.stringMatching(
      /a payment is over the price of its booking: 3 rows.*; no backup is well: .*Nothing was changed/,
    ) as string,
  ]);
  const { outcome, report } = await mended();
  expect([outcome, report.facts['rowsBroughtBack']]).toEqual(['SUCCEEDED', 3]);
  expect(report.plan!.warnings).toContainEqual(expect.stringMatching(/^newer, and not well: /));
  expect(await rows()).toEqual(good);
});

it('calls people where there is no backup at all, and says what is broken', async () => {
  await spoil(ORPHANS);
  const folder = join(driver.stack.directory, 'backups', 'booking', 'production');
  renameSync(folder, `${folder}-away`);
  const { outcome, message } = await driver.run(RUNBOOK);
  renameSync(`${folder}-away`, folder);
  expect([outcome, message]).toEqual([
    'NEEDS_HUMAN',
    expect.stringMatching(
      /bookings_customer_fk: 2 rows of .*bookings.*; there is no complete backup\. Nothing was changed/,
    ) as string,
  ]);
});

it('changes nothing where nobody approves in time', async () => {
  const before = await rows();
  await worker.kill();
  configure(driver, { 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.run(RUNBOOK)).outcome).toBe('REJECTED');
  expect(await rows()).toEqual(before);
});
