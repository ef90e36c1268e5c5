import { setEnvironment } from '../../src/config/secrets';
import { SECRETS, webhookEnvironment, webhookSettings } from '../activities/payments/stripe-world';
import {
  appSchema,
  OTHER_NAMES,
  PLAIN_SECRET,
  startPaymentApp,
  type PaymentApp,
} from '../simulators/payment-app';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { configure, startDriver, type Driver } from './harness';
import { keepHistory } from './keep-history';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const REPLAY = 'replayPaymentWebhooks';
let driver: Driver;
let worker: WorkerProcess;
let app: PaymentApp;

/** The whole file, against an application that calls everything otherwise: by configuration alone. */
const names = OTHER_NAMES;

beforeAll(async () => {
  setEnvironment(SECRETS);
  driver = await startDriver(400, false);
  await driver.sql(appSchema(names));
  const database = new URL(driver.stack.postgres.url);
  database.pathname = '/booking_production';
  app = await startPaymentApp(database.href, names);
  configure(driver, {
    paymentWebhooks: webhookSettings(names),
    'environments.production.paymentWebhooks': webhookEnvironment(app.url),
  });
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterEach(async () => {
  Object.assign(app.state, {
    plainSecret: PLAIN_SECRET,
    broken: false,
    forgets: false,
    slowMs: 0,
    replays: [],
  });
  app.state.poison.clear();
  await driver.sql(`TRUNCATE ${names.log}, ${names.ledger}, ${names.payouts} RESTART IDENTITY`);
});
afterAll(async () => {
  await worker?.stop();
  await app?.stop();
  await driver?.stack.stop();
});

const fail = (count: number) =>
  driver.sql(`INSERT INTO ${names.log} (event_id, payload_hash, last_error)
              SELECT 'evt_' || n, 'hash ' || n, 'no signatures found' FROM generate_series(1, ${count}) n`);
const propose = async () => {
  const handle = await driver.start(REPLAY, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  return { handle, plan: id };
};
const approve = async () => {
  const { handle, plan } = await propose();
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  return handle;
};
const done = async (handle: Awaited<ReturnType<typeof approve>>) => {
  const task = await driver.waiting(handle, 'task');
  return driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'mended' });
};
const entries = async () =>
  (
    await driver.sql<{ event: string }>(
      `SELECT event_id AS event FROM ${names.ledger} ORDER BY length(event_id), event_id`,
    )
  ).map(({ event }) => event);
const log = () => driver.sql(`SELECT l::text FROM ${names.log} l ORDER BY id`);

it('has nothing to do where nothing failed, the ledger adds up and no payout is late', async () => {
  await driver.sql(
    `INSERT INTO ${names.log} (event_id, status) VALUES ('evt_1', 'processed'); INSERT INTO ${names.ledger} (event_id) VALUES ('evt_1')`,
  );
  const ended = await driver.run(REPLAY);
  expect([ended.outcome, ended.message]).toEqual([
    'NOTHING_TO_DO',
    'no payment webhook of booking/production is to be replayed: no event failed that is to be replayed; the ledger entries are there; 0 payout jobs overdue',
  ]);
});

it('changes nothing while it only observes, or is refused', async () => {
  await fail(2);
  const before = await log();
  const observed = await driver.run(REPLAY, { mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions).toEqual([
    expect.objectContaining({
      action: 'replay failed events',
      count: 2,
      detail:
        '2 events: evt_1 (payment.succeeded: no signatures found), evt_2 (payment.succeeded: no signatures found)',
    }),
  ]);
  const { handle, plan } = await propose();
  await driver.answer(handle, 'reject', { plan, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect([await log(), await entries(), app.state.replays]).toEqual([before, [], []]);
});

it('waits until the secret is mended, and then has each event applied once; of one payload only one', async () => {
  await fail(5);
  await driver.sql(
    `INSERT INTO ${names.log} (event_id, payload_hash) VALUES ('evt_again', 'hash 2');
     INSERT INTO ${names.log} (event_id, payload_hash, status) VALUES ('evt_early', 'hash 5', 'processed');
     INSERT INTO ${names.ledger} (event_id) VALUES ('evt_early')`,
  );
  app.state.plainSecret = 'somebody-changed-it';
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(/takes no events of payments: .*\(401\)|takes no events of payments: .*400/);
  expect(task.question).toContain('signing secret');
  expect(app.state.replays).toEqual([]);
  app.state.plainSecret = PLAIN_SECRET;
  await done(handle);
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.summary]).toEqual([
    'SUCCEEDED',
    '4 of 4 failed events of booking/production applied, 2 rows of the same events not replayed',
  ]);
  expect(report.plan?.warnings).toContain(
    'not replayed: row 5 (evt_5 is row 7, which was applied), row 6 (evt_again is row 2, which failed first)',
  );
  expect(await entries()).toEqual(['evt_1', 'evt_2', 'evt_3', 'evt_4', 'evt_early']);
  expect(app.state.replays).toEqual(['1', '2', '3', '4']);
  await keepHistory(handle, 'replay-payment-webhooks');
});

it('says exactly which events were applied and which were not, and waits for those and for late payouts', async () => {
  await fail(8);
  await driver.sql(`INSERT INTO ${names.payouts} (run_at) VALUES (now() - interval '1 h')`);
  // The oldest ones: they keep none of the others from being applied.
  ['1', '2', '3'].forEach((id) => app.state.poison.add(id));
  const handle = await approve();
  expect((await driver.waiting(handle, 'task')).question).toMatch(
    /was asked to apply 3 events: evt_1 .*, evt_3 .* has not done it\. 5 other events it was not asked for yet\./,
  );
  expect(app.state.replays).toEqual(['1', '2', '3']);
  for (
    let task = await driver.waiting(handle, 'task');
    !/need a person/.test(task.question);
    task = await driver.waiting(handle, 'task')
  ) {
    expect(task.question).toContain('was asked to apply 3 events: evt_1');
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'try again' });
    await driver.until(handle, ({ waiting }) => waiting.every(({ id }) => id !== task.id));
  }
  const { question } = await driver.waiting(handle, 'task');
  expect(question).toContain('not applied: 3 events: evt_1');
  expect(question).toContain('1 payout job overdue: 1');
  app.state.poison.clear();
  for (const id of [1, 2, 3]) await fetch(`${app.url}/internal/webhooks/${id}/replay`, { method: 'POST' });
  await driver.sql(`UPDATE ${names.payouts} SET status = 'done'`);
  await done(handle);
  const { outcome, report } = await driver.end(handle);
  expect(outcome).toBe('SUCCEEDED');
  expect(report.summary).toMatch(
    /^5 of 8 failed events of booking\/production applied; people had to see to not applied: 3 events: evt_1/,
  );
  expect(await entries()).toEqual(Array.from({ length: 8 }, (_, n) => `evt_${n + 1}`));
});

it('does not succeed where an event was applied without its ledger entry', async () => {
  await fail(1);
  await driver.sql(
    `CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
     CREATE TRIGGER forget BEFORE INSERT ON ${names.ledger} FOR EACH ROW EXECUTE FUNCTION forget()`,
  );
  try {
    const { outcome, message } = await driver.end(await approve());
    expect([outcome, message]).toEqual(['PARTIAL', expect.stringContaining('evt_1 (0 of 1)')]);
  } finally {
    await driver.sql(`DROP TRIGGER forget ON ${names.ledger}; DROP FUNCTION forget()`);
  }
});

it('applies nothing twice when the worker is killed in the middle', async () => {
  await fail(12);
  app.state.slowMs = 300;
  const handle = await approve();
  await until(async () => (await entries()).length >= 2);
  await worker.kill();
  app.state.slowMs = 0;
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(await entries()).toEqual(Array.from({ length: 12 }, (_, n) => `evt_${n + 1}`));
});

it('replays nothing where nobody approves in time', async () => {
  await fail(1);
  await worker.kill();
  configure(driver, { 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.run(REPLAY, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(app.state.replays).toEqual([]);
});
