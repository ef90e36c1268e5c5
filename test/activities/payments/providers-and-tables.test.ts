import type { ServerResponse } from 'node:http';
import { environmentPaymentsSchema } from '../../../src/activities/payments/settings';
import { serve } from '../../support/local-server';
import { failureOf } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';
import {
  addPayment,
  correct,
  correctionsIn,
  findPayments,
  freshWorld,
  KEY,
  paymentsIn,
  providersAt,
  undoCorrection,
  usePayments,
} from './payments-world';

const { pg, provider } = usePayments();

describe('a provider', () => {
  let answer: (response: ServerResponse) => void;
  const wrong = duringTests(() => serve((_request, response) => answer(response)));
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
    const world = await freshWorld(pg, wrong.url);
    await addPayment(world, 1, { status: 'failed' });
    const before = await paymentsIn(world);
    const failure = await failureOf(findPayments(world));
    expect(failure).toMatchObject(expected);
    expect(failure.message).not.toContain(KEY);
    expect(await paymentsIn(world)).toEqual(before);
  });

  it('whose keys are numbers is no other one', async () => {
    answer = json({ ...TAKEN, id: 4711 });
    const world = await freshWorld(pg, wrong.url);
    await addPayment(world, 1, { status: 'failed', provider_ref: '4711' });
    expect((await findPayments(world)).payments[0]!.view).toMatchObject({ state: 'succeeded' });
  });

  it('of a payment that was not taken need not name a charge', async () => {
    answer = json({ ...TAKEN, status: 'canceled', latest_charge: null });
    const world = await freshWorld(pg, wrong.url);
    await addPayment(world, 1, { status: 'pending' });
    expect((await findPayments(world)).payments[0]!.verdict).toEqual({ kind: 'correct', to: 'failed' });
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
  const facts = await findPayments(world, { booking: '7' });
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
  await undoCorrection(world);
  expect(await rows()).toEqual([{ state: 'OPEN' }, { state: 'OPEN' }]);
});
