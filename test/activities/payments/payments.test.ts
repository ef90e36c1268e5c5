import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Correction } from '../../../src/activities/payments/corrections';
import { judge } from '../../../src/activities/payments/judge';
import type { PaymentFacts } from '../../../src/activities/payments/reconciliation';
import { environmentPaymentsSchema, paymentsSchema } from '../../../src/activities/payments/settings';
import { CORRECT_STEP } from '../../../src/contract/payments';
import { correctionOf } from '../../../src/workflows/payments/reconcile-payment/plan';
import { failureOf, runActivity, type TestPostgres } from '../../support/postgres';
import { startBookingServer } from '../bookings/bookings-world';
import {
  addPayment,
  auditOf,
  configureProviders,
  freshWorld,
  idOf,
  KEY,
  paymentsIn,
  providersAt,
  startProvider,
  untouchable,
  type Provider,
  type World,
} from './payments-world';

let pg: TestPostgres;
let provider: Provider;
beforeAll(async () => {
  [pg, provider] = await Promise.all([startBookingServer(), startProvider()]);
});
afterAll(async () => {
  await provider?.stop();
  await pg?.stop();
});

const find = ({ activities, db, booking }: World, subject: object = { booking }) =>
  runActivity(activities.findPayments, { ...db.place, ...subject });
const correctionsIn = ({ payments }: PaymentFacts): Correction[] => payments.flatMap(correctionOf);
const correct = ({ activities, repair }: World, corrections: Correction[], attempt = 1) =>
  runActivity(activities.correctPayments, { ...repair, step: CORRECT_STEP, corrections }, { attempt });
const undo = ({ activities, repair }: World) =>
  runActivity(activities.undoPaymentCorrection, { ...repair, step: CORRECT_STEP }, { activityId: '9' });
const refund = ({ activities, repair, booking }: World, { refunds }: PaymentFacts, attempt = 1, token = 1) =>
  runActivity(
    activities.refundPayment,
    {
      service: repair.service,
      environment: repair.environment,
      booking,
      refund: refunds[0]!,
      fence: { target: repair.fence.target, token },
    },
    { attempt },
  );
const stateOf = async ({ db }: World, number: number) =>
  (await db.query<{ status: string }>(`SELECT status FROM payments WHERE id = '${idOf(number)}'`))[0]?.status;

describe('a payment that the provider took and the application calls failed', () => {
  it('is corrected with its audit row, once, and goes back exactly; booking and slot are never touched', async () => {
    const world = await freshWorld(pg, provider.url);
    const id = await addPayment(world, 1, { status: 'failed' });
    provider.know('pi_1', {});
    const [before, others] = [await paymentsIn(world), await untouchable(world)];
    const facts = await find(world, { payment: id });
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
    expect((await find(world)).payments[0]!.verdict).toEqual({ kind: 'agrees' });
    expect(await undo(world)).toEqual({ done: 1, left: [] });
    expect(await undo(world)).toEqual({ done: 1, left: [] });
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
    const corrections = correctionsIn(await find(world));
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
    expect((await undo(world)).left).toEqual([
      expect.objectContaining({
        why: expect.stringMatching(/was changed since: webhook_payload_hash/) as string,
      }),
    ]);
  });

  it('is refused under an older token, without a name, and above the cap', async () => {
    const world = await freshWorld(pg, provider.url);
    await addPayment(world, 1, { status: 'failed' });
    provider.know('pi_1', {});
    const corrections = correctionsIn(await find(world));
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
    const facts = await find(world);
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
    const facts = await find(world);
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
    expect(await find(world)).toMatchObject({
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
    const facts = await find(world);
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

describe('a provider', () => {
  let wrong: Server;
  let answer: (response: ServerResponse) => void;
  beforeAll(async () => {
    wrong = createServer((_request, response) => answer(response));
    await new Promise<void>((resolve) => wrong.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => new Promise((resolve) => wrong.close(resolve)));
  const json = (body: unknown) => (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  const TAKEN = {
    id: 'pi_1',
    livemode: true,
    status: 'succeeded',
    amount_received: 1_200,
    currency: 'eur',
    latest_charge: { amount_refunded: 0 },
  };
  const page = (status: number) => (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'text/html' }).end('<html>sign in</html>');
  };

  it.each<[string, (response: ServerResponse) => void, object]>([
    ['that is down', (response) => void response.destroy(), { type: 'HttpFailed', nonRetryable: false }],
    ['that is overloaded', page(503), { type: 'HttpFailed', nonRetryable: false }],
    [
      'that shows a page',
      page(200),
      { type: 'HttpFailed', message: expect.stringMatching(/a web page instead of JSON/) as string },
    ],
    ['that refuses the key', page(401), { type: 'HttpFailed', nonRetryable: true }],
    [
      'that says nothing',
      json({ ...TAKEN, status: undefined }),
      {
        type: 'ProviderUnclear',
        message: expect.stringMatching(/: stripe says nothing for "status"/) as string,
      },
    ],
    ['that has another shape', json([{ status: 'succeeded' }]), { type: 'ProviderUnclear' }],
    [
      'that sends euros',
      json({ ...TAKEN, amount_received: 12.5 }),
      { type: 'ProviderUnclear', message: expect.stringMatching(/says 12\.5 for "amount"/) as string },
    ],
    [
      'that speaks of another payment',
      json({ ...TAKEN, id: 'pi_2' }),
      {
        type: 'ProviderUnclear',
        message: expect.stringMatching(/for pi_1 and says "pi_2" at "id"/) as string,
      },
    ],
    [
      'that is asked with the key of its test mode',
      json({ ...TAKEN, livemode: false }),
      { type: 'ProviderUnclear', message: expect.stringMatching(/says false at "livemode"/) as string },
    ],
    [
      'that hides refunds',
      json({ ...TAKEN, latest_charge: null }),
      { type: 'ProviderUnclear', message: expect.stringMatching(/nothing for "refunded"/) as string },
    ],
  ])('%s changes nothing, and no key is told', async (_, behave, expected) => {
    answer = behave;
    const world = await freshWorld(pg, `http://127.0.0.1:${(wrong.address() as AddressInfo).port}`);
    await addPayment(world, 1, { status: 'failed' });
    const before = await paymentsIn(world);
    const failure = await failureOf(find(world));
    expect(failure).toMatchObject(expected);
    expect(failure.message).not.toContain(KEY);
    expect(await paymentsIn(world)).toEqual(before);
  });

  it('whose keys are numbers is no other one', async () => {
    answer = json({ ...TAKEN, id: 4711 });
    const world = await freshWorld(pg, `http://127.0.0.1:${(wrong.address() as AddressInfo).port}`);
    await addPayment(world, 1, { status: 'failed', provider_ref: '4711' });
    expect((await find(world)).payments[0]!.view).toMatchObject({ state: 'succeeded' });
  });

  it('of a payment that was not taken need not name a charge', async () => {
    answer = json({ ...TAKEN, status: 'canceled', latest_charge: null });
    const world = await freshWorld(pg, `http://127.0.0.1:${(wrong.address() as AddressInfo).port}`);
    await addPayment(world, 1, { status: 'pending' });
    expect((await find(world)).payments[0]!.verdict).toEqual({ kind: 'correct', to: 'failed' });
  });

  it('whose refunds nobody could see, or that would be sent twice, is refused when the configuration is read', () => {
    const { providers } = providersAt('http://127.0.0.1');
    const { read, refund: send } = providers.stripe;
    const problems = (stripe: object) =>
      environmentPaymentsSchema
        .safeParse({ providers: { stripe: { ...providers.stripe, ...stripe } } })
        .error?.issues.map(({ message }) => message)
        .join();
    expect(problems({})).toBeUndefined();
    expect(problems({ read: { ...read, fields: { status: 'status', amount: 'amount' } } })).toMatch(
      /nobody sees/,
    );
    expect(problems({ refund: { ...send, headers: {} } })).toMatch(/an answer that is lost refunds twice/);
    expect(problems({ read: { ...read, success: { status: [200] } } })).toMatch(/`states` say/);
  });
});

describe('a payment that was taken twice', () => {
  const twice = async (number: number) => {
    const world = await freshWorld(pg, provider.url);
    const [first, second] = [`pi_${number}a`, `pi_${number}b`];
    await addPayment(world, 1, { provider_ref: first, status: 'failed' });
    await addPayment(world, 2, { provider_ref: second });
    for (const reference of [first, second]) provider.know(reference, {});
    // The one that the application has applied stays, though it came later.
    const open = await find(world);
    expect(open.refunds).toMatchObject([
      { payment: idOf(1), money: '12.00 EUR', keeps: { payment: idOf(2) } },
    ]);
    await correct(world, correctionsIn(open));
    return { world, facts: await find(world), first, second };
  };
  const refundsOf = (reference: string) => provider.refunds().filter(({ intent }) => intent === reference);

  it('is given back once, however often it is tried, and recorded as refunded', async () => {
    const { world, first } = await twice(1);
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
    const after = await find(world);
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
    const { world, facts, first, second } = await twice(2);
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
    expect(await find(world)).toMatchObject({ refunds: [], findings: [] });
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
    const why = async (subject: object) => (await failureOf(find(world, subject))).message;
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
    const facts = await find(world);
    await world.db.query('REVOKE UPDATE (status) ON payments FROM runbooks_payments');
    const refused = await failureOf(correct(world, correctionsIn(facts)));
    expect(refused.message).toMatch(/permission denied for table payments/);
    await world.db.query(
      'GRANT UPDATE (status) ON payments TO runbooks_payments; GRANT UPDATE (status) ON bookings TO runbooks_payments',
    );
    expect(await failureOf(find(world))).toMatchObject({
      type: 'RepairRoleInvalid',
      message: expect.stringMatching(/can also write public\.bookings; REVOKE that/) as string,
    });
  });
});

it('tables by another name, numbers as keys and states of their own are reconciled as well', async () => {
  const world = await freshWorld(pg, provider.url, {
    sql: `CREATE SCHEMA "Till"; GRANT ALL ON SCHEMA "Till" TO booking_owner; GRANT USAGE ON SCHEMA "Till" TO runbooks_payments;
      SET ROLE booking_owner;
      CREATE TABLE "Till"."Charge" ("no" bigserial PRIMARY KEY, "order" int NOT NULL, "State" varchar(10) NOT NULL, "by" text, "ref" text, "at" timestamp NOT NULL DEFAULT now());
      CREATE TABLE "Till"."Trail" ("id" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "of" bigint NOT NULL, "what" varchar(40) NOT NULL);
      INSERT INTO "Till"."Charge" ("order", "State", "by", "ref") VALUES (7, 'OPEN', 'stripe', 'pi_other'), (8, 'OPEN', 'stripe', 'pi_gone');
      GRANT SELECT, UPDATE ("State") ON "Till"."Charge" TO runbooks_payments; GRANT INSERT ON "Till"."Trail" TO runbooks_payments;
      RESET ROLE; REVOKE ALL ON payments, audit_logs FROM runbooks_payments;`,
    payments: {
      tables: {
        payments: {
          schema: 'Till',
          table: 'Charge',
          columns: {
            id: 'no',
            booking: 'order',
            status: 'State',
            provider: 'by',
            reference: 'ref',
            createdAt: 'at',
          },
        },
        audit: { schema: 'Till', table: 'Trail', columns: { entity: 'of', action: 'what' } },
      },
      states: { created: 'NEW', pending: 'OPEN', succeeded: 'PAID', failed: 'LOST', refunded: 'BACK' },
    },
  });
  provider.know('pi_other', {});
  const facts = await find(world, { booking: '7' });
  expect(facts.unconfigured).toEqual([
    'the booking is not looked at: no table of them is configured',
    'amounts are not compared, and nothing is refunded: no columns amount and currency are configured',
  ]);
  expect(facts.index.state).toBe('unconfigured');
  expect(await correct(world, correctionsIn(facts))).toEqual({ done: 1, left: [] });
  const rows = () => world.db.query(`SELECT "State" AS state FROM "Till"."Charge" ORDER BY "no"`);
  expect(await rows()).toEqual([{ state: 'PAID' }, { state: 'OPEN' }]);
  expect(await world.db.query(`SELECT "of", "what" FROM "Till"."Trail"`)).toEqual([
    { of: '1', what: 'payment_reconciled' },
  ]);
  await undo(world);
  expect(await rows()).toEqual([{ state: 'OPEN' }, { state: 'OPEN' }]);
});
