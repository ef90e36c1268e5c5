import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { leaveHolds, sellTwice } from '../../examples/booking/spoil';
import { DEFAULT_SWITCHES, setSwitches } from '../../examples/booking/switches';
import { until } from '../support/postgres';
import { testQueues } from '../support/queues';
import { quietTemporal } from '../support/quiet';
import { startRedis } from '../support/redis';
import { duringTests } from '../support/stand-in';
import { startDriver, type Driver, type Ended } from './harness';
import { slowChanges } from './slow-changes';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
let worker: WorkerProcess;
let flag: string;
const redis = duringTests(() => startRedis('pass-of-the-bookings'));
const queues = duringTests(async () => testQueues(redis, 'acme'));
beforeAll(async () => {
  driver = await startDriver(400, false);
  process.env['BOOKINGS_RUN_REDIS'] = redis.url;
  flag = join(driver.stack.directory, 'fails');
  configure({ batchRows: 1, graceSeconds: 1 });
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterEach(() => rmSync(flag, { force: true }));
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
});

/** Small batches, so that a worker can be killed between two; a smoke test that takes its time and fails on demand. */
function configure(bookings: Record<string, unknown>, expiresAfterMinutes = 240): void {
  const document = parseDocument(readFileSync(driver.stack.configFile, 'utf8'));
  const service = ['services', 'booking'];
  for (const [name, value] of Object.entries(bookings)) document.setIn([...service, 'bookings', name], value);
  document.setIn([...service, 'bookings', 'expiryWorker', 'maxAgeSeconds'], 12);
  document.setIn([...service, 'environments', 'production', 'queues'], {
    redis: { url: '${env:BOOKINGS_RUN_REDIS}' },
    prefix: 'acme',
    names: [{ name: 'expiry' }],
    holds: { queue: 'expiry', idempotency: { key: 'acme:request:{booking}' } },
  });
  document.setIn([...service, 'approval', 'expiresAfterMinutes'], expiresAfterMinutes);
  document.setIn([...service, 'environments', 'production', 'smoke'], {
    run: ['sh', '-c', `test -e ${flag} || exit 0; sleep 2; exit 1`],
  });
  writeFileSync(driver.stack.configFile, document.toString());
}

const restart = async (): Promise<void> => {
  await worker.kill();
  worker = await startWorkerProcess(driver.stack.configFile);
};
const owner = () => driver.stack.booking.environment['BOOKING_PRODUCTION_URL']!;
const DOUBLE = 'resolveDoubleBookings';
const HOLDS = 'releaseStuckHolds';
const expiry = (on: boolean) =>
  setSwitches(driver.stack.directory, { cronSchedule: on ? DEFAULT_SWITCHES.cronSchedule : '' });
const sold = () =>
  driver.sql(`SELECT slot_id::text FROM bookings WHERE status = 'confirmed' AND slot_id IS NOT NULL
               GROUP BY slot_id HAVING count(*) > 1 ORDER BY slot_id`);
const index = async () =>
  (await driver.sql(`SELECT FROM pg_indexes WHERE indexname = 'idx_bookings_one_confirmed_per_slot'`)).length;
/** Bookings of these slots, the slots and the links, to the last column. The application goes on with the others. */
const rowsOf = async (slots: string[]) => {
  const list = slots.join(', ');
  return {
    bookings: await driver.sql(`SELECT b.*::text FROM bookings b WHERE slot_id IN (${list}) ORDER BY 1`),
    slots: await driver.sql(`SELECT s.*::text FROM slots s WHERE id IN (${list}) ORDER BY 1`),
    links: await driver.sql(
      `SELECT t.*::text FROM action_tokens t WHERE booking_id IN (SELECT id FROM bookings WHERE slot_id IN (${list})) ORDER BY 1`,
    ),
  };
};
const slotsOf = async (bookings: string[]) =>
  (
    await driver.sql<{ slot: string }>(
      `SELECT slot_id::text AS slot FROM bookings WHERE id IN ('${bookings.join("','")}')`,
    )
  ).map(({ slot }) => slot);
const said = ({ report }: Ended, title: string) =>
  report.timeline.find((entry) => entry.title === title)?.detail;
const approve = async (runbook: string, input: Record<string, unknown> = {}) => {
  const handle = await driver.start(runbook, { mode: 'propose', ...input });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  return handle;
};

describe('double bookings', () => {
  it('are nothing to do where there is none', async () => {
    const { outcome, report } = await driver.run(DOUBLE);
    expect([outcome, report.summary]).toEqual([
      'NOTHING_TO_DO',
      'no slot of booking/production is sold twice; index idx_bookings_one_confirmed_per_slot is there',
    ]);
  });

  it('change nothing while they are only observed, or refused', async () => {
    const slots = await sellTwice(owner(), 2);
    const look = async () => [
      await rowsOf(slots),
      await index(),
      await driver.sql('SELECT nspname FROM pg_namespace ORDER BY 1'),
    ];
    const before = await look();
    const observed = await driver.run(DOUBLE, { mode: 'observe' });
    expect(observed.outcome).toBe('OBSERVED');
    expect(observed.report.plan?.actions).toEqual([
      expect.objectContaining({ action: 'cancel bookings of slots that are sold twice', count: 2 }),
      expect.objectContaining({
        detail: expect.stringMatching(/^there is no index .*: CREATE UNIQUE INDEX CONCURRENTLY/),
      }),
    ]);
    expect(observed.report.plan?.warnings.join()).toMatch(/customers of cancelled bookings are not told/);
    expect(said(observed, 'Recent changes of the code that confirms bookings')).toMatch(
      /^9be2f0c .* 1\.4\.1; 41d7a63/,
    );
    const handle = await driver.start(DOUBLE, { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await look()).toEqual(before);
  });

  it('go back exactly as they were where the smoke test fails afterwards', async () => {
    const slots = (await sold()).map((row) => (row as { slot_id: string }).slot_id);
    const before = await rowsOf(slots);
    writeFileSync(flag, '');
    const ended = await driver.end(await approve(DOUBLE));
    expect([ended.outcome, ended.message]).toEqual([
      'ROLLED_BACK',
      expect.stringMatching(/ended with status 1/),
    ]);
    expect(await rowsOf(slots)).toEqual(before);
    expect(await index()).toBe(0);
    const audited = await driver.sql(`SELECT action, count(*)::int FROM audit_logs WHERE source = 'system'
      AND action IN ('booking_cancelled', 'booking_restored') GROUP BY 1 ORDER BY 1`);
    expect(audited).toEqual([
      { action: 'booking_cancelled', count: 2 },
      { action: 'booking_restored', count: 2 },
    ]);
  });

  it('need a person where somebody has changed one of them before they could go back, and it says which', async () => {
    writeFileSync(flag, '');
    const handle = await approve(DOUBLE);
    await driver.until(handle, ({ timeline }) =>
      timeline.some(({ title, status }) => title.startsWith('Smoke test') && status === 'running'),
    );
    const [changed] = await driver.sql<{ id: string }>(
      `UPDATE bookings SET party_size = party_size + 1 WHERE id = (SELECT key::uuid FROM durable_runbooks.change_log
         WHERE undone_at IS NULL AND relation LIKE '%bookings%' LIMIT 1) RETURNING id`,
    );
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toContain(`${changed!.id} was changed since: party_size, updated_at`);
    await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'asked the customer' });
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.changes?.map(({ what }) => what)]).toEqual([
      'NEEDS_HUMAN',
      ['Cancel the other bookings'],
    ]);
    // The other slot went back, and only this one stays.
    expect(await sold()).toHaveLength(1);
  });

  it('end with the booking that a person chose, and with the index', async () => {
    const [{ slot_id: slot }] = (await sold()) as [{ slot_id: string }];
    const handle = await driver.start(DOUBLE, { keep: 'ask' });
    const { id, choices, question } = await driver.waiting(handle, 'decision');
    expect(question).toMatch(new RegExp(`^Slot ${slot} is sold 2 times: .*confirmed .*customer`));
    await driver.answer(handle, 'decide', { question: id, choice: choices![1]!, by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.summary]).toEqual([
      'SUCCEEDED',
      '1 booking cancelled; no slot of booking/production is sold twice',
    ]);
    expect(
      await driver.sql(`SELECT id FROM bookings WHERE slot_id = ${slot} AND status = 'confirmed'`),
    ).toEqual([{ id: choices![1] }]);
    expect(await index()).toBe(1);
  });
});

describe('stuck holds', () => {
  it('are nothing to do while the job releases them', async () => {
    expect((await driver.run(HOLDS)).outcome).toBe('NOTHING_TO_DO');
  });

  it('are released for an alert, and the job that should have done it runs again', async () => {
    expiry(false);
    const holds = await leaveHolds(owner(), 3);
    await queues.fail('expiry', 2, 'the mail server is away');
    for (const id of holds.slice(1)) await redis.client.set(`acme:request:${id}`, '');
    const slots = await slotsOf(holds);
    const before = await rowsOf(slots);
    expect((await driver.run(HOLDS, { mode: 'observe' })).outcome).toBe('OBSERVED');
    expect(await rowsOf(slots)).toEqual(before);
    await until(async () => {
      const [row] = await driver.sql(`SELECT FROM job_runs WHERE last_run_at > now() - interval '13 s'`);
      return row === undefined;
    });
    const alert = {
      source: 'alertmanager',
      fingerprint: randomUUID(),
      startsAt: new Date().toISOString(),
      status: 'firing',
      severity: 'warning',
      title: '3 holds ran out and were not released',
      labels: { alertname: 'BookingHoldsStuck' },
      annotations: {},
      link: null,
    };
    const ended = await driver.run(HOLDS, { alert });
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      '3 holds of booking/production released; none is stuck',
    ]);
    const queue =
      'queue expiry: nobody works on it, 0 jobs waiting, 2 jobs failed within 24 h, 2 of them: the mail server is away';
    const keys = `idempotency keys in Redis: 2 of 3, not that of ${holds[0]}`;
    expect(ended.report.plan?.warnings).toEqual(
      expect.arrayContaining([`${queue}. drainQueueBacklog retries failed jobs`, keys]),
    );
    expect(ended.report.timeline).toContainEqual(
      expect.objectContaining({
        title: 'Look at the queue that releases holds',
        detail: `${queue}; ${keys}`,
      }),
    );
    expect(ended.report.timeline.map(({ title }) => title)).toContain('The job that releases holds runs');
    expect(await driver.sql(`SELECT status FROM slots WHERE id IN (${slots.join()})`)).toEqual(
      Array(3).fill({ status: 'open' }),
    );
  });

  it('are each released once when the worker is killed in the middle', async () => {
    expiry(false);
    const holds = await leaveHolds(owner(), 16);
    const slow = await slowChanges(driver, 'bookings', "NEW.status = 'expired'");
    const count = async (table: string) => {
      const [row] = await driver.sql<{ n: number }>(table);
      return row!.n;
    };
    const ids = holds.join("','");
    const released = () =>
      count(`SELECT count(*)::int AS n FROM bookings WHERE status = 'expired' AND id IN ('${ids}')`);
    const handle = await driver.start(HOLDS);
    await until(async () => (await released()) >= 4);
    await worker.kill();
    const then = await released();
    expect(then).toBeLessThan(16);
    await slow.quicken();
    worker = await startWorkerProcess(driver.stack.configFile);
    const { outcome, report } = await driver.end(handle);
    await slow.end();
    expect([outcome, report.facts['holdsReleased']]).toEqual(['SUCCEEDED', 16]);
    expect(await released()).toBe(16);
    expect(
      await driver.sql(`SELECT DISTINCT count(*)::int AS n FROM audit_logs WHERE action = 'booking_expired'
                          AND entity_id IN ('${ids}') GROUP BY entity_id`),
    ).toEqual([{ n: 1 }]);
  });

  it('go back exactly as they were where the smoke test fails afterwards', async () => {
    expiry(false);
    const slots = await slotsOf(await leaveHolds(owner(), 3));
    const before = await rowsOf(slots);
    writeFileSync(flag, '');
    const { outcome } = await driver.run(HOLDS);
    // That the job was started again, if it had stopped, stays.
    expect(['ROLLED_BACK', 'PARTIAL']).toContain(outcome);
    expiry(false);
    expect(await rowsOf(slots)).toEqual(before);
  });

  it('stay when nobody approves in time', async () => {
    configure({}, 0.02);
    await restart();
    const before = await driver.sql(
      `SELECT id FROM bookings WHERE status = 'held' AND expires_at < now() ORDER BY 1`,
    );
    expect(before).toHaveLength(3);
    const { outcome } = await driver.run(HOLDS, { mode: 'propose' });
    expect(outcome).toBe('REJECTED');
    expect(
      await driver.sql(`SELECT id FROM bookings WHERE status = 'held' AND expires_at < now() ORDER BY 1`),
    ).toEqual(before);
  });
});
