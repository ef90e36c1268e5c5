/** Money that goes back: once, whole, of the right payment, and only as it was decided. */
import type { PaymentFacts } from '../../../src/activities/payments/reconciliation';
import { environmentPaymentsSchema, paymentsSchema } from '../../../src/activities/payments/settings';
import { correctionOf } from '../../../src/workflows/payments/reconcile-payment/plan';
import { failureOf, runActivity } from '../../support/postgres';
import {
  addPayment,
  auditOf,
  configureProviders,
  correct,
  correctionsIn,
  findPayments,
  freshWorld,
  idOf,
  providersAt,
  refund,
  stateOf,
  untouchable,
  usePayments,
  type World,
} from './payments-world';

const { pg, provider } = usePayments();
const refundsOf = (reference: string) => provider.refunds().filter(({ intent }) => intent === reference);
const set = ({ db }: World, number: number, change: string) =>
  db.query(`UPDATE payments SET ${change} WHERE id = '${idOf(number)}'`);

/** Both succeeded, and the second goes back. */
async function twice(name: string): Promise<{ world: World; facts: PaymentFacts; second: string }> {
  const world = await freshWorld(pg, provider.url);
  const second = `pi_${name}_2`;
  for (const number of [1, 2]) {
    await addPayment(world, number, { provider_ref: `pi_${name}_${number}` });
    provider.know(`pi_${name}_${number}`, {});
  }
  return { world, facts: await findPayments(world), second };
}

describe('a payment that was taken twice', () => {
  /** The first failed with us, and is corrected. */
  const failedOnce = async (number: number) => {
    const world = await freshWorld(pg, provider.url);
    const [first, second] = [`pi_${number}a`, `pi_${number}b`];
    await addPayment(world, 1, { provider_ref: first, status: 'failed' });
    await addPayment(world, 2, { provider_ref: second });
    for (const reference of [first, second]) provider.know(reference, {});
    // The one that the application has applied stays, though it came later.
    const open = await findPayments(world);
    expect(open.refunds).toMatchObject([
      { payment: idOf(1), money: '12.00 EUR', keeps: { payment: idOf(2) } },
    ]);
    await correct(world, correctionsIn(open));
    return { world, facts: await findPayments(world), first, second };
  };

  it('is given back once, however often it is tried, and recorded as refunded', async () => {
    const { world, first } = await failedOnce(1);
    // Both succeeded now, and the earlier one stays: what was found before they were corrected is what people approved.
    const refunds = [
      {
        payment: idOf(1),
        provider: 'stripe',
        reference: first,
        amount: 1_200,
        currency: 'EUR',
        money: '12.00 EUR',
        keeps: { payment: idOf(2), provider: 'stripe', reference: 'pi_1b' },
      },
    ];
    const facts = { refunds } as PaymentFacts;
    const others = await untouchable(world);
    expect(await refund(world, facts)).toMatchObject({ sent: true, refused: null });
    // A provider that shows it late is asked once more, and knows the key.
    provider.know(first, {});
    expect(await refund(world, facts, 2)).toMatchObject({ sent: true });
    expect(refundsOf(first)).toHaveLength(1);
    provider.know(first, { refunded: 1_200 });
    expect(await refund(world, facts, 2)).toMatchObject({ sent: 'unknown', refused: null });
    expect(await refund(world, facts)).toMatchObject({ sent: false, refused: null });
    expect(refundsOf(first)).toEqual([{ intent: first, amount: 1_200 }]);
    const shows = { ...world.db.place, booking: world.booking, refund: refunds[0]! };
    expect(await runActivity(world.activities.readRefund, shows)).toMatchObject({ refunded: true });
    const after = await findPayments(world);
    expect(after.refunds).toEqual([]);
    const record = { ...world.repair, step: 'record-refunds', corrections: correctionsIn(after) };
    const recorded = await runActivity(world.activities.correctPayments, record, { activityId: '8' });
    expect(recorded).toEqual({ done: 1, left: [] });
    expect(await stateOf(world, 1)).toBe('refunded');
    expect((await auditOf(world)).map(({ action }) => action)).toEqual([
      'payment_reconciled',
      'payment_refunded',
    ]);
    expect(await untouchable(world)).toEqual(others);
  });

  it('is not given back where the one that stays is gone meanwhile, the row was changed, or the lease was lost', async () => {
    const { world, facts, first, second } = await failedOnce(2);
    const [{ payment, keeps }] = facts.refunds as [PaymentFacts['refunds'][number]];
    const kept = keeps.reference;
    const given = kept === first ? second : first;
    provider.know(kept, { refunded: 1_200 });
    expect(await refund(world, facts)).toMatchObject({
      sent: false,
      refused: expect.stringMatching(/is no longer whole: stripe says refunded/) as string,
    });
    expect(await refund(world, facts, 2)).toMatchObject({ sent: 'unknown' });
    provider.know(kept, {});
    await world.db.query(`UPDATE payments SET status = 'refunded' WHERE id = $1`, [keeps.payment]);
    expect((await refund(world, facts)).refused).toMatch(
      /no longer has payment .*, which stays, as succeeded/,
    );
    await world.db.query(`UPDATE payments SET status = 'succeeded' WHERE id = $1`, [keeps.payment]);
    await world.db.query(`UPDATE payments SET status = 'failed' WHERE id = $1`, [payment]);
    expect((await refund(world, facts)).refused).toMatch(/has changed payment .* since, and calls it failed/);
    await world.db.query(`UPDATE payments SET status = 'succeeded' WHERE id = $1`, [payment]);
    provider.know(given, { amount: 900 });
    expect((await refund(world, facts)).refused).toMatch(/is another one: stripe says succeeded, amount 900/);
    provider.know(given, {});
    // The application has given the money to somebody else as well, after people said yes.
    await world.db.query('DROP INDEX idx_payments_provider_ref');
    const [other] = await world.db.query<{ id: string }>(
      `INSERT INTO payments (booking_id, provider, provider_ref, amount_cents, currency, status)
         SELECT id, 'stripe', $1, 1200, 'EUR', 'succeeded' FROM bookings WHERE customer_id = 2 RETURNING id`,
      [given],
    );
    expect((await refund(world, facts)).refused).toMatch(/^booking .* has a payment pi_.* as well since/);
    await world.db.query(`DELETE FROM payments WHERE id = $1`, [other!.id]);
    await world.db.query(`UPDATE durable_runbooks.fence SET token = 9`);
    expect(await failureOf(refund(world, facts))).toMatchObject({ type: 'StaleFencingToken' });
    expect([...refundsOf(first), ...refundsOf(second)]).toEqual([]);
  });

  it('is one of another amount: no duplicate', async () => {
    const world = await freshWorld(pg, provider.url);
    await addPayment(world, 1, { provider_ref: 'pi_deposit', amount_cents: 200 });
    await addPayment(world, 2, { provider_ref: 'pi_rest', amount_cents: 1_000 });
    provider.know('pi_deposit', { amount: 200 });
    provider.know('pi_rest', { amount: 1_000 });
    expect(await findPayments(world)).toMatchObject({ refunds: [], findings: [] });
  });
});

describe('a refund whose answer was lost', () => {
  it('is a refund, also where the application has heard of it before the next attempt', async () => {
    const { world, facts, second } = await twice('heard');
    provider.know(second, { refunded: 1_200 });
    await set(world, 2, `status = 'refunded'`);
    expect(await refund(world, facts, 2)).toMatchObject({ sent: 'unknown', refused: null });
    expect(refundsOf(second)).toEqual([]);
  });
});

describe('a refund that was decided', () => {
  it.each([
    ['amount', 2, 'amount_cents = 1100', /payment .*2 since/],
    ['currency', 2, `currency = 'USD'`, /payment .*2 since/],
    ['amount of the one that stays', 1, 'amount_cents = 1100', /no longer has payment .*1/],
    ['currency of the one that stays', 1, `currency = 'USD'`, /no longer has payment .*1/],
  ] as const)('is not sent where the %s is another one meanwhile', async (_, number, change, why) => {
    const { world, facts, second } = await twice('changed');
    await set(world, number, change);
    expect((await refund(world, facts)).refused).toMatch(why);
    expect(refundsOf(second)).toEqual([]);
  });

  it.each([1, 2])('is not sent where the provider names another currency of payment %s', async (number) => {
    const { world, facts, second } = await twice('dollars');
    provider.know(`pi_dollars_${number}`, { currency: 'usd' });
    expect((await refund(world, facts)).refused).toMatch(/USD/);
    expect(refundsOf(second)).toEqual([]);
  });
});

it('without a column of currencies nothing counts as taken twice, as the plan says', async () => {
  const world = await freshWorld(pg, provider.url, {
    payments: { tables: { payments: { columns: { amount: 'amount_cents' } }, bookings: {}, audit: {} } },
  });
  for (const number of [1, 2]) await addPayment(world, number, { provider_ref: `pi_bare_${number}` });
  provider.know('pi_bare_1', {});
  provider.know('pi_bare_2', {});
  expect(await findPayments(world)).toMatchObject({
    refunds: [],
    findings: [{ payment: idOf(2), why: expect.stringMatching(/nobody can say whether for the same/) }],
  });
  provider.know('pi_bare_2', { currency: 'usd' });
  expect(await findPayments(world)).toMatchObject({ refunds: [], findings: [] });
});

it('a payment that was taken again before the application had its amount is seen', async () => {
  const world = await freshWorld(pg, provider.url, {
    sql: 'ALTER TABLE payments ALTER amount_cents DROP NOT NULL',
  });
  await addPayment(world, 1, { provider_ref: 'pi_null_1' });
  await addPayment(world, 2, { provider_ref: 'pi_null_2', amount_cents: null });
  provider.know('pi_null_1', {});
  provider.know('pi_null_2', {});
  const unclear = { refunds: [], findings: [{ payment: idOf(2) }] };
  expect(await findPayments(world)).toMatchObject(unclear);
  // Nor is one refunded because of another one of which the amount is not known.
  await set(world, 1, 'amount_cents = NULL');
  await set(world, 2, 'amount_cents = 1200');
  expect(await findPayments(world)).toMatchObject(unclear);
});

it('of several rows of one payment none is corrected: the first attempt failed, the second paid', async () => {
  const world = await freshWorld(pg, provider.url, { sql: 'DROP INDEX idx_payments_provider_ref' });
  await addPayment(world, 1, { provider_ref: 'pi_again', status: 'failed' });
  await addPayment(world, 2, { provider_ref: 'pi_again' });
  provider.know('pi_again', {});
  const facts = await findPayments(world);
  expect(facts.payments.flatMap(correctionOf)).toEqual([]);
  expect(facts.refunds).toEqual([]);
  expect(facts.findings).toEqual([
    { payment: idOf(1), shows: false, why: expect.stringMatching(/it and payment .*2 are one and the same/) },
  ]);
  // Where none of them has it yet, the task ends when one does.
  await set(world, 2, `status = 'pending'`);
  expect((await findPayments(world)).findings.map(({ shows }) => shows)).toEqual([true, true]);
});

it('what a provider calls refunded and has given back in part is left to a person', async () => {
  const world = await freshWorld(pg, provider.url);
  const { providers } = providersAt(provider.url);
  const { states } = providers.stripe;
  configureProviders(world, {
    providers: { stripe: { ...providers.stripe, states: { ...states, succeeded: 'refunded' } } },
  });
  for (const [number, refunded] of [0, 300, 1_200].entries()) {
    await addPayment(world, number + 1, { provider_ref: `pi_part_${number}` });
    provider.know(`pi_part_${number}`, { refunded });
  }
  expect((await findPayments(world)).payments.map(({ view }) => view.state)).toEqual([
    null,
    null,
    'refunded',
  ]);
});

describe('a configuration that could move the wrong money is refused:', () => {
  const { providers } = providersAt('http://127.0.0.1');
  const { stripe } = providers;
  it.each<[string, object, RegExp]>([
    [
      'a question that does not name the payment',
      { read: { ...stripe.read, url: 'http://127.0.0.1/{booking}' } },
      /with \{reference\} or \{payment\}: else every payment/,
    ],
    [
      'a refund that does not name it',
      { refund: { ...stripe.refund, form: { amount: '{amount}' } } },
      /with \{reference\} or \{payment\}: else nobody knows/,
    ],
    [
      'a refund with a key of every step',
      { refund: { ...stripe.refund, idempotencyKey: 'Idempotency-Key' } },
      /another one for every run/,
    ],
  ])('%s', (_, change, message) => {
    const given = { providers: { stripe: { ...stripe, ...change } } };
    const { error } = environmentPaymentsSchema.safeParse(given);
    expect(error?.issues.map((one) => one.message).join()).toMatch(message);
  });

  it('one word for two states', () => {
    const { error } = paymentsSchema.safeParse({ states: { failed: 'cancelled', refunded: 'cancelled' } });
    expect(error?.issues.map((one) => one.message).join()).toMatch(/a word of its own/);
  });

  it('words for the customer that may be sent twice', () => {
    const { inform } = providersAt('http://127.0.0.1');
    const { error } = environmentPaymentsSchema.safeParse({ providers, inform: { ...inform, headers: {} } });
    expect(error?.issues.map((one) => one.message).join()).toMatch(/tells the customer twice/);
    expect(environmentPaymentsSchema.safeParse({ providers, inform }).success).toBe(true);
  });
});
