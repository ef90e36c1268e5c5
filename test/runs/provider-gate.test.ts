import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openGate, shutGate } from '../../examples/booking/spoil';
import { compileRoutes, planRun, routeOf } from '../../src/alerts/routing';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { firing } from './alerts';
import { configure, startDriver, type Driver, type Ended } from './harness';
import { slowChanges } from './slow-changes';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const GATE = 'auditProviderGate';
let driver: Driver;
let worker: WorkerProcess;
let flag: string;
beforeAll(async () => {
  driver = await startDriver(400, false);
  flag = join(driver.stack.directory, 'fails');
  configure(driver, settings());
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterEach(async () => {
  rmSync(flag, { force: true });
  await shutGate(owner());
});
afterAll(async () => {
  await worker?.stop();
  await driver?.stack.stop();
});

/** A listing a batch, so that a worker can be killed between two; a smoke test that fails on demand. */
const settings = () => ({
  'listings.batchRows': 1,
  'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${flag}`] },
});

const owner = () => driver.stack.booking.environment['BOOKING_PRODUCTION_URL']!;
const rows = () => driver.sql('SELECT l.*::text FROM listings l ORDER BY id');
const published = async (listings: string[]) =>
  (
    await driver.sql<{ id: string }>(
      `SELECT id::text FROM listings WHERE status = 'published' AND id IN (${listings.join()}) ORDER BY id`,
    )
  ).map(({ id }) => id);
const propose = async () => {
  const handle = await driver.start(GATE, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  return { handle, plan: id };
};
const approve = async () => {
  const { handle, plan } = await propose();
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  return handle;
};
const said = ({ report }: Ended, title: string) =>
  report.timeline.find((entry) => entry.title === title)?.detail;

it('has nothing to do where everything is approved, and lists what was published lately', async () => {
  await driver.sql(`UPDATE listings SET published_at = now() WHERE id = (SELECT min(id) FROM listings)`);
  const ended = await driver.run(GATE);
  expect([ended.outcome, ended.report.summary]).toEqual([
    'NOTHING_TO_DO',
    'no listing of booking/production is published without approval; the publishing gate: it says "on", wanted "on"',
  ]);
  expect(said(ended, 'Look for published listings that nobody approved')).toMatch(
    /^none is published without approval; 1 published within 7 days, the newest: \d+ at /,
  );
});

it('changes nothing while it only observes, or is refused', async () => {
  const listings = await openGate(owner(), 2);
  const before = await rows();
  const observed = await driver.run(GATE, { mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions).toEqual([
    expect.objectContaining({
      action: 'suspend listings',
      count: 2,
      detail: expect.stringMatching(
        new RegExp(
          `^2 listings: ${listings[0]} \\(provider \\d+ is PENDING, profile is APPROVED, published past the gate\\)`,
        ),
      ),
    }),
    expect.objectContaining({ action: 'a task for a person: put the publishing gate back in force' }),
  ]);
  expect(observed.report.plan?.warnings).toContain(
    'providers of suspended listings are not told, and bookings that were made stay as they are',
  );
  const { handle, plan } = await propose();
  await driver.answer(handle, 'reject', { plan, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(await rows()).toEqual(before);
});

it('puts everything back on sale where the smoke test fails afterwards', async () => {
  const before = await rows();
  writeFileSync(flag, '');
  const ended = await driver.end(await approve());
  expect(ended.outcome).toBe('ROLLED_BACK');
  expect(await rows()).toEqual(before);
});

it('suspends what its alert is about, and waits until somebody has put the gate back', async () => {
  const { config } = driver.stack;
  const alert = firing({
    title: '2 listings are on sale whose provider or property nobody approved',
    labels: { alertname: 'BookingListingsUnapproved', service: 'booking', job: 'booking' },
  });
  const { runbook, input } = planRun(config, routeOf(compileRoutes(config), alert)!, alert);
  expect([runbook, input]).toEqual([GATE, expect.objectContaining({ mode: 'propose' })]);
  const listings = await openGate(owner(), 1);
  const handle = await driver.start(GATE, { ...input, alert });
  const { id } = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(/^The publishing gate of booking\/production is not in force: it says "off"/);
  expect(await published(listings)).toEqual([]);
  await shutGate(owner());
  // It looks again only every half a minute; whoever has done it says so.
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'switched on' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.summary]).toEqual([
    'SUCCEEDED',
    '3 listings of booking/production suspended; none is published without approval',
  ]);
});

it('does not succeed where more came past the gate while somebody was mending it', async () => {
  await openGate(owner(), 1);
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  const [late] = await openGate(owner(), 1);
  await shutGate(owner());
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'switched on' });
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining(`1 listing: ${late} (`)]);
  expect(await published([late!])).toEqual([late]);
  expect((await driver.end(await approve())).outcome).toBe('SUCCEEDED');
});

it('keeps off sale what it suspended, and says what the gate says, while more comes past it than a run may touch', async () => {
  const listings = await openGate(owner(), 1);
  await driver.sql(
    `CREATE FUNCTION flood() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
       INSERT INTO listings (provider_id, title, status, property_status, price_cents)
       SELECT NEW.provider_id, 'flood', 'published', 'APPROVED', 1 FROM generate_series(1, 101); RETURN NULL; END $$;
     CREATE TRIGGER flood AFTER UPDATE ON listings FOR EACH ROW WHEN (NEW.status = 'suspended') EXECUTE FUNCTION flood()`,
  );
  try {
    const handle = await approve();
    const task = await driver.waiting(handle, 'task');
    expect(await published(listings)).toEqual([]);
    await shutGate(owner());
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'switched on' });
    const { outcome, message } = await driver.end(handle);
    const tooMany = '101 listings of booking/production are published and not approved, more than';
    expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining(tooMany)]);
    expect(message).toContain('None of these was suspended');
    expect(await published(listings)).toEqual([]);
    await openGate(owner(), 1);
    expect(await driver.run(GATE, { mode: 'propose' })).toMatchObject({
      outcome: 'FAILED',
      message: expect.stringContaining('The publishing gate: it says "off", wanted "on".'),
    });
  } finally {
    await driver.sql(
      `DROP TRIGGER flood ON listings; DROP FUNCTION flood(); UPDATE listings SET status = 'draft' WHERE title = 'flood' OR title = 'Studio hour'`,
    );
  }
});

it('puts nothing back on sale because another one was published again', async () => {
  const [again, off] = (await openGate(owner(), 2)) as [string, string];
  await driver.sql(
    `CREATE FUNCTION insist() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
       UPDATE listings SET status = 'published' WHERE id = NEW.id; RETURN NULL; END $$;
     CREATE TRIGGER insist AFTER UPDATE ON listings FOR EACH ROW WHEN (NEW.status = 'suspended' AND NEW.id = ${again}) EXECUTE FUNCTION insist()`,
  );
  try {
    const handle = await approve();
    const task = await driver.waiting(handle, 'task');
    expect(await published([again, off])).toEqual([again]);
    await shutGate(owner());
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'switched on' });
    const { outcome, message } = await driver.end(handle);
    expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining(`1 listing: ${again} (`)]);
    expect(await published([again, off])).toEqual([again]);
  } finally {
    await driver.sql(
      `DROP TRIGGER insist ON listings; DROP FUNCTION insist(); UPDATE listings SET status = 'draft' WHERE id = ${again}`,
    );
  }
});

it('suspends each once when the worker is killed in the middle', async () => {
  const listings = await openGate(owner(), 12);
  await shutGate(owner());
  const slow = await slowChanges(driver, 'listings', "NEW.status = 'suspended'");
  const handle = await approve();
  await until(async () => (await published(listings)).length <= 9);
  await worker.kill();
  expect((await published(listings)).length).toBeGreaterThan(0);
  await slow.quicken();
  worker = await startWorkerProcess(driver.stack.configFile);
  const { outcome, report } = await driver.end(handle);
  await slow.end();
  expect([outcome, report.facts['listingsSuspended']]).toEqual(['SUCCEEDED', 12]);
  expect(await published(listings)).toEqual([]);
  expect(
    await driver.sql(`SELECT DISTINCT count(*)::int AS n FROM audit_logs WHERE action = 'listing_suspended'
                        AND entity_id IN ('${listings.join("','")}') GROUP BY entity_id`),
  ).toEqual([{ n: 1 }]);
});

it('suspends nothing where nobody approves in time', async () => {
  const listings = await openGate(owner(), 1);
  await worker.kill();
  configure(driver, { 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.run(GATE, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(await published(listings)).toEqual(listings);
});
