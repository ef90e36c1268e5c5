import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setEnvironment } from '../../src/config/secrets';
import { SECRETS, stripeEnvironment, stripeSettings } from '../activities/payments/stripe-world';
import { appSchema, OTHER_NAMES, startPaymentApp, type PaymentApp } from '../simulators/payment-app';
import { SIGNING_SECRET, startStripe, type Simulator } from '../../examples/simulators/stripe';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { configure, startDriver, type Driver, type Ended } from './harness';
import { slowChanges } from './slow-changes';
import { keepHistory } from './keep-history';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const REPLAY = 'replayStripeEvents';
const END = 1_800_000_000;
let driver: Driver;
let worker: WorkerProcess;
let app: PaymentApp;
let stripe: Simulator;
let flag: string;

/** The whole file, against an application that calls everything otherwise: by configuration alone. */
const names = OTHER_NAMES;

beforeAll(async () => {
  setEnvironment(SECRETS);
  driver = await startDriver(400, false);
  flag = join(driver.stack.directory, 'fails');
  await driver.sql(appSchema(names));
  const database = new URL(driver.stack.postgres.url);
  database.pathname = '/booking_production';
  app = await startPaymentApp(database.href, names);
  stripe = await startStripe(app.url);
  configure(driver, {
    stripe: { ...stripeSettings(names), batchRows: 1 },
    'environments.production.stripe': stripeEnvironment(stripe.url, app.url),
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${flag}`] },
  });
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterEach(async () => {
  rmSync(flag, { force: true });
  Object.assign(app.state, {
    secret: SIGNING_SECRET,
    broken: false,
    forgets: false,
    answersLate: false,
    received: [],
  });
  app.state.poison.clear();
  await stripe.reset();
  await driver.sql(
    `TRUNCATE ${names.events}, effects, ${names.subscriptions}, payment_audit RESTART IDENTITY`,
  );
});
afterAll(async () => {
  await worker?.stop();
  await stripe?.stop();
  await app?.stop();
  await driver?.stack.stop();
});

const add = (count: number, from = 1) =>
  Array.from({ length: count }, (_, n) =>
    stripe.add(`evt_${from + n}`, 'invoice.paid', { ageSeconds: 9_000 - n }),
  );
const propose = async (input: object = {}) => {
  const handle = await driver.start(REPLAY, { mode: 'propose', ...input });
  const { id } = await driver.waiting(handle, 'approval');
  return { handle, plan: id };
};
const approve = async (input: object = {}) => {
  const { handle, plan } = await propose(input);
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  return handle;
};
const applied = async () =>
  (await driver.sql<{ event: string }>('SELECT event FROM effects ORDER BY length(event), event')).map(
    ({ event }) => event,
  );
const subscribe = (reference: string, status: string) =>
  driver.sql(`INSERT INTO ${names.subscriptions} (${names.reference}, status, customer_ref, period_end)
              VALUES ('${reference}', '${status}', 'cus_${reference}', to_timestamp(${END}))`);
const statuses = async () =>
  (await driver.sql<{ status: string }>(`SELECT status FROM ${names.subscriptions} ORDER BY id`)).map(
    ({ status }) => status,
  );
const everything = () =>
  driver.sql(
    `SELECT 'e' || e::text AS row FROM ${names.events} e UNION ALL SELECT 's' || s::text FROM ${names.subscriptions} s ORDER BY 1`,
  );
const said = ({ report }: Ended, title: RegExp) =>
  report.timeline.find((entry) => title.test(entry.title))?.detail;

it('has nothing to do where nothing is missing, though Stripe calls it undelivered', async () => {
  const [event] = add(1);
  await driver.sql(`INSERT INTO ${names.events} VALUES ('${event}', 'invoice.paid')`);
  const ended = await driver.run(REPLAY);
  expect([ended.outcome, ended.message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(
      /^no event of Stripe is missing in booking\/production: no event is missing, 1 recorded though/,
    ),
  ]);
  expect(stripe.resent()).toEqual([]);
});

it('changes nothing while it only observes, or is refused', async () => {
  add(2);
  stripe.subscribe('sub_1', 'active', END);
  await subscribe('sub_1', 'past_due');
  const before = await everything();
  const observed = await driver.run(REPLAY, { mode: 'observe' });
  expect(observed.outcome).toBe('OBSERVED');
  expect(observed.report.plan?.actions).toEqual([
    expect.objectContaining({
      action: 'have Stripe send events again',
      count: 2,
      detail: '2 events: evt_1 (invoice.paid), evt_2 (invoice.paid)',
    }),
    expect.objectContaining({
      action: 'compare subscriptions again, and ask about those that still differ',
      detail: '1 subscription: 1 (status past_due -> active)',
    }),
  ]);
  const { handle, plan } = await propose();
  await driver.answer(handle, 'reject', { plan, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(await everything()).toEqual(before);
  expect(stripe.state.requests.filter(({ method }) => method !== 'GET')).toEqual([]);
  expect(app.state.received).toEqual([]);
});

it('gets each missing event applied once, and then corrects what still differs, in a plan of its own', async () => {
  const events = add(7);
  app.state.answersLate = true; // Applied, and answered with 500: it is never sent again.
  stripe.deliver(events[0]!);
  await stripe.settled();
  app.state.answersLate = false;
  stripe.subscribe('sub_1', 'active', END);
  stripe.subscribe('sub_2', 'canceled', END);
  await subscribe('sub_1', 'past_due');
  await subscribe('sub_2', 'active');
  const more = { object: { id: 'sub_1', status: 'active' } };
  events.push(stripe.add('evt_sub', 'customer.subscription.updated', more));
  const handle = await approve();
  // The event has put one of them right.
  const second = await driver.waiting(handle, 'approval');
  await driver.answer(handle, 'approve', { plan: second.id, by: 'ben' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, report.summary]).toEqual([
    'SUCCEEDED',
    '7 of 7 missing events recorded by booking/production, 1 subscription corrected',
  ]);
  expect(report.plan?.actions[0]?.detail).toBe('1 subscription: 2 (status active -> canceled)');
  expect(await applied()).toEqual(events);
  expect(app.state.received.filter((id) => id === events[0])).toHaveLength(1);
  expect(await statuses()).toEqual(['active', 'canceled']);
  expect(await driver.sql('SELECT entity_id FROM payment_audit')).toEqual([{ entity_id: '2' }]);
  await keepHistory(handle, 'replay-stripe-events');
});

it('waits until somebody has switched the endpoint on and mended the secret, and then goes on', async () => {
  const events = add(4);
  stripe.endpoint.status = 'disabled';
  app.state.secret = 'whsec_another';
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toContain('Stripe has switched endpoint we_shop off');
  stripe.endpoint.status = 'enabled';
  // What he says does not hold: the secret is wrong as well.
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'on' });
  await driver.until(handle, ({ timeline }) =>
    timeline.some(
      ({ title, detail }) => title === 'Are events taken now?' && /signing secret/.test(detail ?? ''),
    ),
  );
  expect(stripe.resent()).toEqual([]);
  app.state.secret = SIGNING_SECRET;
  await driver.answer(handle, 'done', {
    task: (await driver.waiting(handle, 'task')).id,
    by: 'ben',
    note: 'mended',
  });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(await applied()).toEqual(events);
});

it('sends only a few where none of them is recorded, and asks a person before it sends the others', async () => {
  const events = add(9);
  app.state.forgets = true;
  const handle = await approve();
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(
    /^Stripe has sent events evt_1, evt_2, evt_3 to .* again, and the application has not recorded them\. 6 other events not sent yet\./,
  );
  expect(new Set(stripe.resent())).toEqual(new Set(events.slice(0, 3)));
  app.state.forgets = false;
  await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'the handler' });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(await applied()).toEqual(events);
});

it('says exactly which events came and which did not, and waits for those by their record', async () => {
  const events = add(5);
  const old = stripe.add('evt_old', 'invoice.paid', { ageSeconds: 31 * 86_400 });
  app.state.poison.add(events[2]!);
  const handle = await approve({ events: [old] });
  for (let task = await driver.waiting(handle, 'task'); ; task = await driver.waiting(handle, 'task')) {
    if (/cannot put it right/.test(task.question)) {
      expect(task.question).toContain('event evt_3: sent again, and not recorded');
      expect(task.question).toContain('event evt_old: not recorded, and Stripe has it no more');
      await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'booked by hand' });
      break;
    }
    await driver.answer(handle, 'done', { task: task.id, by: 'ben', note: 'try again' });
    await driver.until(handle, ({ waiting }) => waiting.every(({ id }) => id !== task.id));
  }
  const { outcome, report } = await driver.end(handle);
  expect(outcome).toBe('SUCCEEDED');
  expect(report.summary).toMatch(
    /^4 of 5 missing events recorded by booking\/production, 0 subscriptions corrected; left to people: event evt_3/,
  );
  expect(await applied()).toEqual(events.filter((id) => id !== 'evt_3'));
});

it('sends nothing twice when the worker is killed in the middle', async () => {
  const events = add(12);
  stripe.state.hold = true;
  configure(driver, { 'environments.production.stripe.pauseSeconds': 0.3 });
  await worker.kill();
  worker = await startWorkerProcess(driver.stack.configFile);
  const handle = await approve();
  await until(() => stripe.heldBack() >= 2);
  await worker.kill();
  stripe.release();
  configure(driver, { 'environments.production.stripe.pauseSeconds': 0 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(await applied()).toEqual(events);
  expect(app.state.received.sort()).toEqual([...events].sort());
});

it('leaves alone the subscription that its customer changes between plan and act, and puts all back where the smoke test fails', async () => {
  for (const n of [1, 2, 3]) {
    stripe.subscribe(`sub_${n}`, 'active', END);
    await subscribe(`sub_${n}`, 'past_due');
  }
  const slow = await slowChanges(driver, names.subscriptions, "NEW.status = 'active'");
  const handle = await approve();
  await until(async () => (await statuses())[0] === 'active');
  await driver.sql(
    `UPDATE ${names.subscriptions} SET plan = 'gold' WHERE id = (SELECT max(id) FROM ${names.subscriptions})`,
  );
  await slow.quicken();
  const ended = await driver.end(handle);
  await slow.end();
  expect(ended.outcome).toBe('SUCCEEDED');
  expect(ended.report.facts['subscriptionsCorrected']).toBe(2);
  expect(said(ended, /^Left alone: subscription/)).toBe('it was changed since it was looked at');
  expect(await statuses()).toEqual(['active', 'active', 'past_due']);
  const before = await everything();
  writeFileSync(flag, '');
  expect((await driver.end(await approve())).outcome).toBe('ROLLED_BACK');
  expect(await everything()).toEqual(before);
});

it('changes nothing where Stripe is down or shows a page, and waits as long as Stripe wants', async () => {
  add(1);
  stripe.state.trouble = 'html';
  expect(await driver.run(REPLAY)).toMatchObject({
    outcome: 'FAILED',
    message: expect.stringContaining('a web page instead of JSON'),
  });
  Object.assign(stripe.state, { trouble: 'rate', times: 2 });
  expect((await driver.run(REPLAY, { mode: 'observe' })).outcome).toBe('OBSERVED');
  expect(await applied()).toEqual([]);
});

it('says so where Stripe refuses to send, and nothing has come', async () => {
  add(4);
  const { handle, plan } = await propose();
  stripe.state.readsOnly = true;
  await driver.answer(handle, 'approve', { plan, by: 'ben' });
  const { outcome, message } = await driver.end(handle);
  expect(outcome).toBe('FAILED');
  expect(message).toMatch(/Stripe sends none of events evt_1, evt_2, evt_3 to .*refuses access \(403\)/);
  await stripe.settled();
  expect([app.state.received, await applied()]).toEqual([[], []]);
});

it('sends nothing where nobody approves in time', async () => {
  add(1);
  await worker.kill();
  configure(driver, { 'approval.expiresAfterMinutes': 0.02 });
  worker = await startWorkerProcess(driver.stack.configFile);
  expect((await driver.run(REPLAY, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(stripe.resent()).toEqual([]);
});
