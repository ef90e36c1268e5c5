import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { setIntents } from '../../examples/booking/payment-provider';
import { chargeTwice, loseWebhook } from '../../examples/booking/spoil-payments';
import { compileRoutes, planRun, routeOf } from '../../src/alerts/routing';
import type { Waiting } from '../../src/contract/report';
import { until } from '../support/postgres';
import { firing } from './alerts';
import { configure, titles } from './harness';
import { PAYMENT, usePaymentsWorld } from './payments-world';

const { driver, world } = usePaymentsWorld();

describe('a payment that was taken, and that the application calls failed', () => {
  let booking: string;
  let payment: string;
  beforeAll(async () => {
    const spoilt = await loseWebhook(world.owner, world.directory);
    [booking, payment] = [spoilt.booking, spoilt.payments[0]!];
  });

  it('changes nothing while it is only observed, or refused; and nobody guesses whose it is', async () => {
    const look = async () => [
      await world.allOf(booking),
      await world.auditOf(payment),
      world.provider(),
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
    const before = await world.allOf(booking);
    writeFileSync(world.flag, '');
    const ended = await driver.run(PAYMENT, { payment });
    expect(ended.outcome).toBe('ROLLED_BACK');
    expect(await world.allOf(booking)).toEqual(before);
    expect(await world.auditOf(payment)).toEqual(['payment_reconciled', 'payment_restored']);
    expect(world.messagesOf(booking)).toEqual([]);
  });

  it('is corrected once when the worker is killed in the middle, and the customer is told once', async () => {
    const others = await world.untouchable(booking);
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
    await world.kill();
    await driver.sql('DELETE FROM held_up');
    await world.startAgain();
    const { outcome, message, report } = await driver.end(handle);
    await driver.sql('DROP TRIGGER dawdle ON payments; DROP FUNCTION dawdle(); DROP TABLE held_up');
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      `booking ${booking}: 1 payment corrected, 0 payments refunded; the booking was not touched`,
    ]);
    expect(await world.stateOf(payment)).toBe('succeeded');
    expect(await world.auditOf(payment)).toEqual([
      'payment_reconciled',
      'payment_restored',
      'payment_reconciled',
    ]);
    expect(world.messagesOf(booking)).toEqual([expect.objectContaining({ payment, outcome: 'succeeded' })]);
    expect(await world.untouchable(booking)).toEqual(others);
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
    const spoilt = await chargeTwice(world.owner, world.directory);
    booking = spoilt.booking;
    [first, second] = spoilt.payments as [string, string];
  });

  it('is only refunded where a person says so, also in mode auto', async () => {
    const before = [await world.allOf(booking), world.provider()];
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
    expect([await world.allOf(booking), world.provider()]).toEqual(before);
  });

  it('gets its money back once, also when the worker is killed and the answer of the provider is lost', async () => {
    const [others, ref] = [await world.untouchable(booking), await world.refOf(second)];
    const ended = await world.refundUnheard({ payment: first });
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      `booking ${booking}: 0 payments corrected, 1 payment refunded; the booking was not touched`,
    ]);
    expect(world.refundsOf(ref)).toHaveLength(1);
    expect([await world.stateOf(first), await world.stateOf(second)]).toEqual(['succeeded', 'refunded']);
    expect(await world.auditOf(second)).toEqual(['payment_refunded']);
    expect(world.messagesOf(booking)).toEqual([
      expect.objectContaining({ payment: second, outcome: 'refunded' }),
    ]);
    expect(await world.untouchable(booking)).toEqual(others);
  });
});

it('a refund whose answer is lost, and of which the application hears by itself, is a refund', async () => {
  const { booking, payments } = await chargeTwice(world.owner, world.directory);
  const second = payments[1]!;
  const ended = await world.refundUnheard({ booking }, () =>
    driver.sql(`UPDATE payments SET status = 'refunded' WHERE id = '${second}'`),
  );
  expect([ended.outcome, ended.message]).toEqual([
    'SUCCEEDED',
    `booking ${booking}: 0 payments corrected, 1 payment refunded; the booking was not touched`,
  ]);
  expect(world.refundsOf(await world.refOf(second))).toHaveLength(1);
  expect(world.messagesOf(booking)).toEqual([
    expect.objectContaining({ payment: second, outcome: 'refunded' }),
  ]);
});

it('whoever comes with an alert is asked for the booking that it names, and again for what was taken meanwhile', async () => {
  const { booking, payments } = await chargeTwice(world.owner, world.directory);
  const { config } = driver.stack;
  const labels = { alertname: 'BookingPaymentMismatch', booking };
  const title = 'A customer says that she was charged twice';
  const alert = firing({ source: 'monitor', severity: 'warning', title, labels });
  const { runbook, input } = planRun(config, routeOf(compileRoutes(config), alert)!, alert);
  const handle = await driver.start(runbook, input);
  const first = await driver.waiting(handle, 'decision');
  const third = randomUUID();
  await driver.sql(
    `INSERT INTO payments (id, booking_id, provider, provider_ref, status, amount_cents, currency)
     SELECT '${third}', booking_id, provider, 'pi_${third}', status, amount_cents, currency FROM payments WHERE id = '${payments[0]}'`,
  );
  setIntents(world.directory, {
    [`pi_${third}`]: world.provider().intents[await world.refOf(payments[0]!)]!,
  });
  const leave = (question: Waiting) =>
    driver.answer(handle, 'decide', { question: question.id, choice: question.choices![1]!, by: 'ben' });
  await leave(first);
  const isThird = ({ question }: Waiting) => question.includes(`Refund payment ${third}`);
  const { waiting } = await driver.until(handle, (status) => status.waiting.some(isThird));
  await leave(waiting.find(isThird)!);
  expect((await driver.end(handle)).outcome).toBe('REJECTED');
  expect(world.refundsOf(`pi_${third}`)).toEqual([]);
});

it('a refund that the provider does not show in time is a task, and is recorded when it shows', async () => {
  const { booking, payments } = await chargeTwice(world.owner, world.directory);
  const ref = await world.refOf(payments[1]!);
  world.told.pretend = true;
  const handle = await driver.start(PAYMENT, { booking });
  await world.decide(handle, 0);
  const task = await driver.waiting(handle, 'task');
  expect(task.question).toMatch(/was sent, and stripe does not show it yet \(stripe says succeeded\)/);
  expect(await world.stateOf(payments[1]!)).toBe('succeeded');
  const intent = world.provider().intents[ref]!;
  setIntents(world.directory, { [ref]: { ...intent, refunded: intent.amount } });
  await driver.answer(handle, 'done', { task: task.id, by: 'ben' });
  world.told.pretend = false;
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(await world.stateOf(payments[1]!)).toBe('refunded');
});

it('a refund that cannot be recorded is no success: what was done is said, and the customer hears of the money', async () => {
  const { booking, payments } = await chargeTwice(world.owner, world.directory);
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
  expect(titles(ended.report)).toContain(`The refund of payment ${payments[1]} is not recorded`);
  expect(world.messagesOf(booking)).toEqual([expect.objectContaining({ outcome: 'refunded' })]);
  // Another run sees the refund and records it.
  expect((await driver.run(PAYMENT, { booking })).outcome).toBe('SUCCEEDED');
  expect(await world.stateOf(payments[1]!)).toBe('refunded');
});

describe('what the run may not do', () => {
  const restart = async (settings: Record<string, unknown>): Promise<void> => {
    await world.kill();
    configure(driver, settings);
    await world.startAgain();
  };
  beforeAll(async () => {
    await restart({
      'environments.production.payments.inform': undefined,
      'approval.expiresAfterMinutes': 0.02,
    });
  });

  it('is a task for a person, and it goes on when application and provider agree', async () => {
    const { booking, payments } = await loseWebhook(world.owner, world.directory);
    const payment = payments[0]!;
    const ref = await world.refOf(payment);
    setIntents(world.directory, { [ref]: { ...world.provider().intents[ref]!, status: 'canceled' } });
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
    expect(titles(ended.report)).not.toContain('Correct the payments');
    expect(await world.auditOf(payment)).toEqual([]);
  });

  it('is to tell a customer without an operation, or to act on an approval that nobody gave in time', async () => {
    const { booking, payments } = await loseWebhook(world.owner, world.directory);
    const before = await world.paymentsOf(booking);
    expect((await driver.run(PAYMENT, { booking, mode: 'propose' })).outcome).toBe('REJECTED');
    expect(await world.paymentsOf(booking)).toEqual(before);
    const handle = await driver.start(PAYMENT, { booking });
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(
      /^Tell the customer of booking .* is succeeded now \(no operation is configured/,
    );
    await driver.answer(handle, 'done', { task: id, by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect(outcome).toBe('SUCCEEDED');
    expect(report.plan?.warnings).toContain('no operation tells customers: that becomes a task for a person');
    expect(await world.stateOf(payments[0]!)).toBe('succeeded');
  });

  it('is anything at all while the provider refuses its key, and it says that nothing was changed', async () => {
    await restart({ [`${world.stripe}.read.auth.token`]: 'another' });
    const { booking } = await loseWebhook(world.owner, world.directory);
    const before = await world.allOf(booking);
    const { outcome, message } = await driver.run(PAYMENT, { booking });
    expect([outcome, message]).toEqual([
      'FAILED',
      expect.stringMatching(/Could not ask stripe for payment .*401/),
    ]);
    expect(await world.allOf(booking)).toEqual(before);
  });
});
