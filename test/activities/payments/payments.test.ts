import type { Correction } from '../../../src/activities/payments/corrections';
import { judge } from '../../../src/activities/payments/judge';
import { paymentsSchema } from '../../../src/activities/payments/settings';
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
  paymentsIn,
  stateOf,
  undoCorrection,
  untouchable,
  usePayments,
} from './payments-world';

const { pg, provider } = usePayments();

describe('a payment that the provider took and the application calls failed', () => {
  it('is corrected with its audit row, once, and goes back exactly; booking and slot are never touched', async () => {
    const world = await freshWorld(pg, provider.url);
    const id = await addPayment(world, 1, { status: 'failed' });
    provider.know('pi_1', {});
    const [before, others] = [await paymentsIn(world), await untouchable(world)];
    const facts = await findPayments(world, { payment: id });
    expect(facts).toMatchObject({
      booking: world.booking,
      bookingState: 'held',
      payments: [
        { verdict: { kind: 'correct', to: 'succeeded' }, hashed: true, amount: 1_200, currency: 'EUR' },
      ],
      refunds: [],
      findings: [],
      index: { state: 'present' },
      unconfigured: [],
    });
    expect(await correct(world, correctionsIn(facts))).toEqual({ done: 1, left: [] });
    // An attempt whose answer was lost has done it.
    expect(await correct(world, correctionsIn(facts), 2)).toEqual({ done: 1, left: [] });
    expect(await stateOf(world, 1)).toBe('succeeded');
    expect(await auditOf(world)).toEqual([
      {
        entity_id: id,
        action: 'payment_reconciled',
        source: 'system',
        details: { from: 'failed', to: 'succeeded', because: 'stripe says succeeded', run: 'run-1' },
      },
    ]);
    expect((await findPayments(world)).payments[0]!.verdict).toEqual({ kind: 'agrees' });
    expect(await undoCorrection(world)).toEqual({ done: 1, left: [] });
    expect(await undoCorrection(world)).toEqual({ done: 1, left: [] });
    expect(await paymentsIn(world)).toEqual(before);
    expect((await auditOf(world)).map(({ action }) => action)).toEqual([
      'payment_reconciled',
      'payment_restored',
    ]);
    expect(await untouchable(world)).toEqual(others);
  });

  it('is left alone where somebody changed it since, or where it is gone', async () => {
    const world = await freshWorld(pg, provider.url);
    for (const number of [1, 2, 3])
      await addPayment(world, number, { status: 'failed', amount_cents: number * 100 });
    for (const number of [1, 2, 3]) provider.know(`pi_${number}`, { amount: number * 100 });
    const corrections = correctionsIn(await findPayments(world));
    await world.db.query(`UPDATE payments SET provider_ref = 'pi_2b' WHERE id = $1`, [idOf(2)]);
    await world.db.query(`DELETE FROM payments WHERE id = $1`, [idOf(3)]);
    expect(await correct(world, corrections)).toEqual({
      done: 1,
      left: [
        { unit: `payment ${idOf(2)}`, why: 'it was changed since it was looked at' },
        { unit: `payment ${idOf(3)}`, why: 'it is gone since it was looked at' },
      ],
    });
    expect([await stateOf(world, 1), await stateOf(world, 2)]).toEqual(['succeeded', 'failed']);
    // What somebody has changed since is not put back over.
    await world.db.query(`UPDATE payments SET webhook_payload_hash = 'late' WHERE id = $1`, [idOf(1)]);
    expect((await undoCorrection(world)).left).toEqual([
      expect.objectContaining({
        why: expect.stringMatching(/was changed since: webhook_payload_hash/) as string,
      }),
    ]);
  });

  it('is refused under an older token, without a name, and above the cap', async () => {
    const world = await freshWorld(pg, provider.url);
    await addPayment(world, 1, { status: 'failed' });
    provider.know('pi_1', {});
    const corrections = correctionsIn(await findPayments(world));
    expect(await failureOf(correct(world, []))).toMatchObject({ type: 'EmptySelection' });
    const many = Array.from({ length: 200 }, () => corrections[0]!);
    expect(await failureOf(correct(world, many))).toMatchObject({ type: 'TooManyTargets' });
    await correct(
      { ...world, repair: { ...world.repair, run: 'other', fence: { target: 'shop/production', token: 5 } } },
      [{ ...corrections[0]!, version: '1' }],
    );
    expect(await failureOf(correct(world, corrections))).toMatchObject({ type: 'StaleFencingToken' });
    expect(await stateOf(world, 1)).toBe('failed');
  });
});

describe('only transitions that the application allows', () => {
  it.each([
    ['created', 'requires_payment_method', 'agrees'],
    ['created', 'processing', 'correct'],
    ['pending', 'requires_payment_method', 'agrees'],
    ['pending', 'canceled', 'correct'],
    ['failed', 'succeeded', 'correct'],
    ['succeeded', 'canceled', 'differs'],
    ['succeeded', 'processing', 'differs'],
    ['refunded', 'succeeded', 'differs'],
    ['failed', 'processing', 'differs'],
  ] as const)('of %s where the provider says %s: it %s', (status, word, kind) => {
    const states = {
      requires_payment_method: 'created',
      processing: 'pending',
      succeeded: 'succeeded',
      canceled: 'failed',
    } as const;
    const view = { state: states[word], amount: 1_200, currency: 'EUR', refunded: 0, detail: '' };
    const row = {
      state: status,
      word: status,
      reference: 'pi',
      amount: 1_200,
      currency: 'EUR',
      provider: 'stripe',
      sharedWith: [],
    };
    expect(judge(row as never, view, paymentsSchema.parse({}).transitions).kind).toBe(kind);
  });

  it('are made, whoever asks for another one', async () => {
    const world = await freshWorld(pg, provider.url);
    await addPayment(world, 1, {});
    provider.know('pi_1', { status: 'canceled' });
    const facts = await findPayments(world);
    expect(facts.findings).toEqual([
      {
        payment: idOf(1),
        shows: true,
        why: 'stripe says failed, the application succeeded, and it allows no payment to go from succeeded to failed',
      },
    ]);
    const { version } = facts.payments[0]!;
    const wanted: Correction = { payment: idOf(1), version, from: 'succeeded', to: 'failed', because: 'x' };
    expect(await failureOf(correct(world, [wanted]))).toMatchObject({ type: 'TransitionForbidden' });
    expect(await stateOf(world, 1)).toBe('succeeded');
  });
});

describe('what only a person can tell', () => {
  it('is never corrected: unknown payments, words, amounts and currencies, refunds in part', async () => {
    const world = await freshWorld(pg, provider.url);
    await addPayment(world, 1, { provider_ref: 'pi_none', status: 'failed' });
    await addPayment(world, 2, { provider: 'razorpay', status: 'failed' });
    await addPayment(world, 3, { provider_ref: null, status: 'pending' });
    await addPayment(world, 4, { provider_ref: 'pi_word', status: 'failed' });
    await addPayment(world, 5, { provider_ref: 'pi_amount', status: 'failed' });
    await addPayment(world, 6, { provider_ref: 'pi_currency', status: 'failed' });
    await addPayment(world, 7, { provider_ref: 'pi_part' });
    // Nobody has begun to pay it.
    await addPayment(world, 8, { provider_ref: null, status: 'created' });
    provider.know('pi_word', { status: 'requires_capture' as never });
    provider.know('pi_amount', { amount: 2_400 });
    provider.know('pi_currency', { currency: 'usd' });
    provider.know('pi_part', { refunded: 300 });
    const facts = await findPayments(world);
    expect(correctionsIn(facts)).toEqual([]);
    expect(facts.refunds).toEqual([]);
    expect(facts.payments.map(({ verdict }) => ('why' in verdict ? verdict.why : verdict.kind))).toEqual([
      'stripe answers 404: it has no such payment, or is asked at a wrong address',
      'how razorpay is asked is not configured',
      'it has no reference of a provider',
      'stripe says "requires_capture", which nobody has explained',
      'stripe took 2400, and the application has 1200',
      'stripe took USD, and the application has EUR',
      'stripe has given back 300 of 1200',
      'agrees',
    ]);
  });

  it('is to which of two bookings a payment belongs that both have', async () => {
    const world = await freshWorld(pg, provider.url, { sql: 'DROP INDEX idx_payments_provider_ref;' });
    const other = (await world.db.query<{ id: string }>('SELECT id FROM bookings WHERE customer_id = 2'))[0]!;
    await addPayment(world, 1, { status: 'failed' });
    const twin = await addPayment(world, 2, { provider_ref: 'pi_1' });
    await world.db.query(`UPDATE payments SET booking_id = '${other.id}' WHERE id = '${twin}'`);
    provider.know('pi_1', {});
    expect(await findPayments(world)).toMatchObject({
      payments: [{ verdict: { kind: 'differs' } }],
      refunds: [],
      findings: [
        { payment: idOf(1), why: expect.stringContaining(`booking ${other.id} has a payment pi_1`) },
      ],
    });
  });

  it('is said of a webhook that was applied twice, of the index that is gone, and of one payment with two rows', async () => {
    const world = await freshWorld(pg, provider.url, {
      sql: 'DROP INDEX idx_payments_webhook_payload_hash; DROP INDEX idx_payments_provider_ref;',
    });
    await addPayment(world, 1, {});
    await addPayment(world, 2, { provider_ref: 'pi_1', webhook_payload_hash: 'hash-1' });
    await world.db.query(`INSERT INTO audit_logs (entity_type, entity_id, action, source)
      SELECT 'payment', '${idOf(1)}', 'payment_succeeded', 'provider' FROM generate_series(1, 2)`);
    provider.know('pi_1', {});
    const facts = await findPayments(world);
    expect(facts.refunds).toEqual([]);
    expect(facts.findings.map(({ why }) => why)).toEqual([
      expect.stringMatching(
        /are one and the same for stripe, which took the money once: there is nothing to refund/,
      ),
      `the same webhook was applied to payment ${idOf(2)} as well`,
      expect.stringMatching(/^the audit trail has "payment_succeeded" 2 times/),
      `the same webhook was applied to payment ${idOf(1)} as well`,
    ]);
    expect(facts.index).toMatchObject({
      state: 'missing',
      statement: 'CREATE UNIQUE INDEX CONCURRENTLY ON "public"."payments" ("webhook_payload_hash")',
    });
    const there = async () => (await runActivity(world.activities.readWebhookIndex, world.db.place)).state;
    await world.db.query(
      'CREATE UNIQUE INDEX partial ON payments (webhook_payload_hash) WHERE amount_cents > 5000',
    );
    expect(await there()).toBe('missing');
    await world.db.query(`UPDATE payments SET webhook_payload_hash = NULL WHERE id = '${idOf(2)}'`);
    await world.db.query(
      'CREATE UNIQUE INDEX both_ ON payments (provider, webhook_payload_hash) WHERE webhook_payload_hash IS NOT NULL',
    );
    expect(await there()).toBe('present');
  });
});

it('a customer is told once of one state in one run', async () => {
  const world = await freshWorld(pg, provider.url);
  const message = {
    ...world.db.place,
    booking: world.booking,
    payment: idOf(1),
    outcome: 'refunded' as const,
    amount: 1_200,
    currency: 'EUR',
    run: 'run-1',
  };
  for (const attempt of [1, 2]) await runActivity(world.activities.informCustomer, message, { attempt });
  const told = { booking: world.booking, payment: idOf(1), outcome: 'refunded', amount: 1_200 };
  expect(provider.messages()).toEqual([told]);
});

describe('which booking is meant', () => {
  it('is never guessed', async () => {
    const world = await freshWorld(pg, provider.url, { payments: { maxPayments: 1 } });
    await addPayment(world, 1, { provider_ref: 'pi_one' });
    provider.know('pi_one', {});
    const why = async (subject: object) => (await failureOf(findPayments(world, subject))).message;
    expect(await why({ booking: 'nobody' })).toMatch(/^booking "nobody" is no key of "public"\."payments"/);
    expect(await why({ payment: idOf(7) })).toMatch(/has no payment for payment ".*7"/);
    expect(await why({ booking: idOf(3), payment: idOf(1) })).toMatch(
      /^Payment .* is of booking .*, and not of/,
    );
    await addPayment(world, 2, {});
    expect(await why({ payment: idOf(1) })).toMatch(/has more than 1 payments, which maxPayments allows/);
    configureProviders(world, { providers: {} });
    delete (world.db.deps.config.services['shop'] as { payments?: unknown }).payments;
    expect(await why({ payment: idOf(1) })).toMatch(/services\.shop\.payments is missing/);
  });
});

describe('the role of payments', () => {
  it('can write payments and the audit trail and nothing else, and is refused when it can write more', async () => {
    const world = await freshWorld(pg, provider.url);
    await addPayment(world, 1, { provider_ref: 'pi_role', status: 'failed' });
    provider.know('pi_role', {});
    const facts = await findPayments(world);
    await world.db.query('REVOKE UPDATE (status) ON payments FROM runbooks_payments');
    const refused = await failureOf(correct(world, correctionsIn(facts)));
    expect(refused.message).toMatch(/permission denied for table payments/);
    await world.db.query(
      'GRANT UPDATE (status) ON payments TO runbooks_payments; GRANT UPDATE (status) ON bookings TO runbooks_payments',
    );
    expect(await failureOf(findPayments(world))).toMatchObject({
      type: 'RepairRoleInvalid',
      message: expect.stringMatching(/can also write public\.bookings; REVOKE that/) as string,
    });
  });
});
