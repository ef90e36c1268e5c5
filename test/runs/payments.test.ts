import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import { readProviderState, setIntents } from '../../examples/booking/payment-provider';
import { chargeTwice, loseWebhook } from '../../examples/booking/spoil-payments';
import { compileRoutes, planRun, routeOf } from '../../src/alerts/routing';
import type { Waiting } from '../../src/contract/report';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver, type Ended } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
const PAYMENT = 'reconcilePayment';
let driver: Driver;
let worker: WorkerProcess;
let flag: string;
/** In front of the provider: keeps answers of refunds back where a test wants them lost. */
let front: Server;
let kept = 0;
let keepBack = false;
/** Says that a refund is on its way, and sends none. */
let pretend = false;
beforeAll(async () => {
  driver = await startDriver(400, false);
  flag = join(driver.stack.directory, 'fails');
  front = createServer((request, response) => {
    if (pretend) return void response.writeHead(200).end('{"status":"pending"}');
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      const { host: _host, 'content-length': _length, connection: _connection, ...headers } = request.headers;
      void fetch(`${driver.stack.app.url}${request.url}`, {
        method: request.method ?? 'GET',
        headers: headers as Record<string, string>,
        ...(body === '' ? {} : { body }),
      }).then(async (answer) => {
        const text = await answer.text();
        if (keepBack && request.url?.endsWith('/refunds') === true) return void (kept += 1);
        response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text);
      });
    });
  });
  await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  configure();
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterEach(() => rmSync(flag, { force: true }));
afterAll(async () => {
  await worker?.stop();
  front?.closeAllConnections();
  front?.close();
  await driver?.stack.stop();
});

/** A smoke test that fails on demand, and whatever a test wants otherwise. */
function configure(change: (set: (path: string[], value: unknown) => void) => void = () => undefined): void {
  const { configFile } = driver.stack;
  const document = parseDocument(readFileSync(configFile, 'utf8'));
  const service = ['services', 'booking'];
  const set = (path: string[], value: unknown) =>
    value === undefined
      ? document.deleteIn([...service, ...path])
      : document.setIn([...service, ...path], value);
  const production = ['environments', 'production'];
  set([...production, 'smoke'], { run: ['sh', '-c', `test ! -e ${flag}`] });
  const refundUrl = `http://127.0.0.1:${(front.address() as AddressInfo).port}/provider/v1/refunds`;
  set([...production, 'payments', 'providers', 'stripe', 'refund', 'url'], refundUrl);
  set([...production, 'payments', 'providers', 'stripe', 'settleSeconds'], 1);
  change(set);
  writeFileSync(configFile, document.toString());
}
const restart = async (change?: Parameters<typeof configure>[0]): Promise<void> => {
  await worker.kill();
  configure(change);
  worker = await startWorkerProcess(driver.stack.configFile);
};

const owner = () => driver.stack.booking.environment['BOOKING_PRODUCTION_URL']!;
const directory = () => driver.stack.directory;
const provider = () => readProviderState(directory());
/** The booking, its slot and its links to the version of each row: no payment may touch them. */
const untouchable = async (booking: string) => {
  const of = (table: string, where: string) =>
    driver.sql(`SELECT t.xmin::text, t.*::text FROM ${table} t WHERE ${where} ORDER BY 2`);
  return [
    await of('bookings', `id = '${booking}'`),
    await of('slots', `id = (SELECT slot_id FROM bookings WHERE id = '${booking}')`),
    await of('action_tokens', `booking_id = '${booking}'`),
  ];
};
const paymentsOf = (booking: string) =>
  driver.sql(`SELECT p.*::text FROM payments p WHERE booking_id = '${booking}' ORDER BY id`);
const stateOf = async (payment: string) =>
  (await driver.sql<{ status: string }>(`SELECT status FROM payments WHERE id = '${payment}'`))[0]!.status;
const refOf = async (payment: string) =>
  (await driver.sql<{ ref: string }>(`SELECT provider_ref AS ref FROM payments WHERE id = '${payment}'`))[0]!
    .ref;
const auditOf = async (payment: string) =>
  (
    await driver.sql<{ action: string }>(
      `SELECT action FROM audit_logs WHERE entity_type = 'payment' AND entity_id = '${payment}'
         AND action IN ('payment_reconciled', 'payment_refunded', 'payment_restored') ORDER BY id`,
    )
  ).map(({ action }) => action);
const messagesOf = (booking: string) =>
  Object.values(provider().messages).filter((one) => one.booking === booking);
const refundsOf = (ref: string) => Object.values(provider().refunds).filter(({ intent }) => intent === ref);
const titles = ({ report }: Ended) => report.timeline.map(({ title }) => title);

describe('a payment that was taken, and that the application calls failed', () => {
  let booking: string;
  let payment: string;
  beforeAll(async () => {
    const spoilt = await loseWebhook(owner(), directory());
    [booking, payment] = [spoilt.booking, spoilt.payments[0]!];
  });

  it('changes nothing while it is only observed, or refused; and nobody guesses whose it is', async () => {
    const look = async () => [
      await paymentsOf(booking),
      await untouchable(booking),
      await auditOf(payment),
      provider(),
      await driver.sql('SELECT nspname FROM pg_namespace ORDER BY 1'),
    ];
    const before = await look();
    const observed = await driver.run(PAYMENT, { booking, mode: 'observe' });
    expect(observed.outcome).toBe('OBSERVED');
    expect(observed.report.plan?.actions).toEqual([
      expect.objectContaining({
        action: 'correct payments',
        count: 1,
        detail: `payment ${payment} from failed to succeeded (stripe says succeeded)`,
      }),
      expect.objectContaining({ action: 'tell the customer' }),
    ]);
    expect(observed.report.plan?.warnings.join()).toMatch(
      /the booking, which is confirmed, stays as it is: confirming it is a flow of its own/,
    );
    const handle = await driver.start(PAYMENT, { payment, mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await driver.run(PAYMENT)).toMatchObject({
      outcome: 'FAILED',
      message: expect.stringMatching(/neither a booking nor a payment is named/) as string,
    });
    expect(await look()).toEqual(before);
  });

  it('goes back exactly as it was where the smoke test fails afterwards', async () => {
    const before = [await paymentsOf(booking), await untouchable(booking)];
    writeFileSync(flag, '');
    const ended = await driver.run(PAYMENT, { payment });
    expect(ended.outcome).toBe('ROLLED_BACK');
    expect([await paymentsOf(booking), await untouchable(booking)]).toEqual(before);
    expect(await auditOf(payment)).toEqual(['payment_reconciled', 'payment_restored']);
    expect(messagesOf(booking)).toEqual([]);
  });

  it('is corrected once when the worker is killed in the middle, and the customer is told once', async () => {
    const others = await untouchable(booking);
    await driver.sql(
      `CREATE TABLE held_up (); INSERT INTO held_up DEFAULT VALUES; GRANT SELECT ON held_up TO PUBLIC;
       CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN WHILE EXISTS (SELECT FROM held_up) LOOP PERFORM pg_sleep(0.05); END LOOP; RETURN NEW; END $$;
       CREATE TRIGGER dawdle BEFORE UPDATE ON payments FOR EACH ROW WHEN (NEW.id = '${payment}') EXECUTE FUNCTION dawdle()`,
    );
    const handle = await driver.start(PAYMENT, { booking });
    const changing = () =>
      driver.sql(
        `SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'UPDATE "public"."payments"%'`,
      );
    await until(async () => (await changing()).length > 0);
    await worker.kill();
    await driver.sql('DELETE FROM held_up');
    worker = await startWorkerProcess(driver.stack.configFile);
    const { outcome, message, report } = await driver.end(handle);
    await driver.sql('DROP TRIGGER dawdle ON payments; DROP FUNCTION dawdle(); DROP TABLE held_up');
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      `booking ${booking}: 1 payment corrected, 0 payments refunded; the booking was not touched`,
    ]);
    expect(await stateOf(payment)).toBe('succeeded');
    expect(await auditOf(payment)).toEqual(['payment_reconciled', 'payment_restored', 'payment_reconciled']);
    expect(messagesOf(booking)).toEqual([expect.objectContaining({ payment, outcome: 'succeeded' })]);
    expect(await untouchable(booking)).toEqual(others);
    expect(JSON.stringify(report)).not.toContain(driver.stack.booking.environment['BOOKING_PAYMENTS_KEY']);
  });

  it('is nothing to do afterwards', async () => {
    const { outcome, message } = await driver.run(PAYMENT, { booking });
    expect([outcome, message]).toEqual([
      'NOTHING_TO_DO',
      expect.stringMatching(/^application and providers agree: booking .* \(confirmed\)/),
    ]);
  });
});

describe('a booking that was paid twice', () => {
  let booking: string;
  let first: string;
  let second: string;
  beforeAll(async () => {
    const spoilt = await chargeTwice(owner(), directory());
    booking = spoilt.booking;
    [first, second] = spoilt.payments as [string, string];
  });

  it('is only refunded where a person says so, also in mode auto', async () => {
    const before = [await paymentsOf(booking), await untouchable(booking), provider()];
    expect((await driver.run(PAYMENT, { booking, mode: 'observe' })).report.plan?.actions[0]).toMatchObject({
      action: 'refund a payment',
      detail: expect.stringMatching(/^if a person then decides so: .* EUR through stripe/) as string,
    });
    const handle = await driver.start(PAYMENT, { booking });
    const { id, choices, question } = await driver.waiting(handle, 'decision');
    expect(question).toMatch(
      new RegExp(`was paid twice: payment ${first} .* stays. Refund payment ${second}`),
    );
    await driver.answer(handle, 'decide', { question: id, choice: choices![1]!, by: 'ben' });
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringMatching(/decided so, .* EUR of payment .* stays with us$/) as string,
    });
    expect([await paymentsOf(booking), await untouchable(booking), provider()]).toEqual(before);
  });

  it('gets its money back once, also when the worker is killed and the answer of the provider is lost', async () => {
    const [others, ref] = [await untouchable(booking), await refOf(second)];
    keepBack = true;
    const handle = await driver.start(PAYMENT, { payment: first });
    const { id, choices } = await driver.waiting(handle, 'decision');
    await driver.answer(handle, 'decide', { question: id, choice: choices![0]!, by: 'ben' });
    await until(() => kept > 0);
    await worker.kill();
    keepBack = false;
    worker = await startWorkerProcess(driver.stack.configFile);
    const ended = await driver.end(handle);
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      `booking ${booking}: 0 payments corrected, 1 payment refunded; the booking was not touched`,
    ]);
    expect(refundsOf(ref)).toHaveLength(1);
    expect([await stateOf(first), await stateOf(second)]).toEqual(['succeeded', 'refunded']);
    expect(await auditOf(second)).toEqual(['payment_refunded']);
    expect(messagesOf(booking)).toEqual([expect.objectContaining({ payment: second, outcome: 'refunded' })]);
    expect(await untouchable(booking)).toEqual(others);
  });
});

it('a refund whose answer is lost, and of which the application hears by itself, is a refund', async () => {
  const { booking, payments } = await chargeTwice(owner(), directory());
  const [before, second] = [kept, payments[1]!];
  keepBack = true;
  const handle = await driver.start(PAYMENT, { booking });
  const { id, choices } = await driver.waiting(handle, 'decision');
  await driver.answer(handle, 'decide', { question: id, choice: choices![0]!, by: 'ben' });
  await until(() => kept > before);
  await worker.kill();
  keepBack = false;
  await driver.sql(`UPDATE payments SET status = 'refunded' WHERE id = '${second}'`);
  worker = await startWorkerProcess(driver.stack.configFile);
  const ended = await driver.end(handle);
  expect([ended.outcome, ended.message]).toEqual([
    'SUCCEEDED',
    `booking ${booking}: 0 payments corrected, 1 payment refunded; the booking was not touched`,
  ]);
  expect(refundsOf(await refOf(second))).toHaveLength(1);
  expect(messagesOf(booking)).toEqual([expect.objectContaining({ payment: second, outcome: 'refunded' })]);
});

it('whoever comes with an alert is asked for the booking that it names, and again for what was taken meanwhile', async () => {
  const { booking, payments } = await chargeTwice(owner(), directory());
  const { config } = driver.stack;
  const alert = {
    source: 'monitor',
    fingerprint: randomUUID(),
    startsAt: new Date().toISOString(),
    status: 'firing' as const,
    severity: 'warning',
    title: 'A customer says that she was charged twice',
    labels: { alertname: 'BookingPaymentMismatch', booking },
    annotations: {},
    link: null,
  };
  const { runbook, input } = planRun(config, routeOf(compileRoutes(config), alert)!, alert);
  const handle = await driver.start(runbook, input);
  const first = await driver.waiting(handle, 'decision');
  const third = randomUUID();
  await driver.sql(
    `INSERT INTO payments (id, booking_id, provider, provider_ref, status, amount_cents, currency)
     SELECT '${third}', booking_id, provider, 'pi_${third}', status, amount_cents, currency FROM payments WHERE id = '${payments[0]}'`,
  );
  setIntents(directory(), { [`pi_${third}`]: provider().intents[await refOf(payments[0]!)]! });
  const leave = (question: Waiting) =>
    driver.answer(handle, 'decide', { question: question.id, choice: question.choices![1]!, by: 'ben' });
  await leave(first);
  const isThird = ({ question }: Waiting) => question.includes(`Refund payment ${third}`);
  const { waiting } = await driver.until(handle, (status) => status.waiting.some(isThird));
  await leave(waiting.find(isThird)!);
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(refundsOf(`pi_${third}`)).toEqual([]);
});

it('a refund that the provider does not show in time is a task, and is recorded when it shows', async () => {
  const { booking, payments } = await chargeTwice(owner(), directory());
  const ref = await refOf(payments[1]!);
  pretend = true;
  const handle = await driver.start(PAYMENT, { booking });
  const question = await driver.waiting(handle, 'decision');
  await driver.answer(handle, 'decide', { question: question.id, choice: question.choices![0]!, by: 'ben' });
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(/was sent, and stripe does not show it yet \(stripe says succeeded\)/);
  expect(await stateOf(payments[1]!)).toBe('succeeded');
  const intent = provider().intents[ref]!;
  setIntents(directory(), { [ref]: { ...intent, refunded: intent.amount } });
  await driver.answer(handle, 'done', { task: task.id, by: 'ben' });
  pretend = false;
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(await stateOf(payments[1]!)).toBe('refunded');
});

it('a refund that cannot be recorded is no success: what was done is said, and the customer hears of the money', async () => {
  const { booking, payments } = await chargeTwice(owner(), directory());
  await driver.sql(
    `CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'check_violation'; END $$;
     CREATE TRIGGER forbid BEFORE UPDATE ON payments FOR EACH ROW WHEN (NEW.id = '${payments[1]}') EXECUTE FUNCTION forbid()`,
  );
  const ended = await driver.agree(await driver.start(PAYMENT, { booking }));
  await driver.sql('DROP TRIGGER forbid ON payments; DROP FUNCTION forbid()');
  expect([ended.outcome, ended.message]).toEqual([
    'PARTIAL',
    expect.stringMatching(/No payment is left to correct: .*the refund of payment .* was sent to stripe/),
  ]);
  expect(titles(ended)).toContain(`The refund of payment ${payments[1]} is not recorded`);
  expect(messagesOf(booking)).toEqual([expect.objectContaining({ outcome: 'refunded' })]);
  // Another run sees the refund and records it.
  expect((await driver.run(PAYMENT, { booking })).outcome).toBe('SUCCEEDED');
  expect(await stateOf(payments[1]!)).toBe('refunded');
});

describe('what the run may not do', () => {
  beforeAll(async () => {
    await restart((set) => {
      set(['environments', 'production', 'payments', 'inform'], undefined);
      set(['approval', 'expiresAfterMinutes'], 0.02);
    });
  });

  it('is a task for a person, and it goes on when application and provider agree', async () => {
    const { booking, payments } = await loseWebhook(owner(), directory());
    const payment = payments[0]!;
    const ref = await refOf(payment);
    setIntents(directory(), { [ref]: { ...provider().intents[ref]!, status: 'canceled' } });
    await driver.sql(`UPDATE payments SET status = 'succeeded' WHERE id = '${payment}'`);
    const handle = await driver.start(PAYMENT, { booking });
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(
      /^No rule allows this run .* it allows no payment to go from succeeded to failed\. Refund or adjust/,
    );
    await driver.sql(`UPDATE payments SET status = 'failed' WHERE id = '${payment}'`);
    await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'no money had come' });
    const ended = await driver.end(handle);
    expect(ended.outcome).toBe('SUCCEEDED');
    expect(titles(ended)).not.toContain('Correct the payments');
    expect(await auditOf(payment)).toEqual([]);
  });

  it('is to tell a customer without an operation, or to act on an approval that nobody gave in time', async () => {
    const { booking, payments } = await loseWebhook(owner(), directory());
    const before = await paymentsOf(booking);
    expect((await driver.run(PAYMENT, { booking, mode: 'propose' })).outcome).toBe('REJECTED');
    expect(await paymentsOf(booking)).toEqual(before);
    const handle = await driver.start(PAYMENT, { booking });
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(
      /^Tell the customer of booking .* is succeeded now \(no operation is configured/,
    );
    await driver.answer(handle, 'done', { task: id, by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect(outcome).toBe('SUCCEEDED');
    expect(report.plan?.warnings).toContain('no operation tells customers: that becomes a task for a person');
    expect(await stateOf(payments[0]!)).toBe('succeeded');
  });

  it('is anything at all while the provider refuses its key, and it says that nothing was changed', async () => {
    await restart((set) =>
      set(
        ['environments', 'production', 'payments', 'providers', 'stripe', 'read', 'auth', 'token'],
        'another',
      ),
    );
    const { booking } = await loseWebhook(owner(), directory());
    const before = [await paymentsOf(booking), await untouchable(booking)];
    const { outcome, message } = await driver.run(PAYMENT, { booking });
    expect([outcome, message]).toEqual([
      'FAILED',
      expect.stringMatching(/Could not ask stripe for payment .*401/),
    ]);
    expect([await paymentsOf(booking), await untouchable(booking)]).toEqual(before);
  });
});
