/** The sample's schema and its provider, with payments of one booking as a test wants them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fastify from 'fastify';
import {
  addPaymentProvider,
  readProviderState,
  setIntents,
  type Intent,
} from '../../../examples/booking/payment-provider';
import { createPaymentActivities } from '../../../src/activities/payments';
import type { Correction } from '../../../src/activities/payments/corrections';
import type { PaymentFacts } from '../../../src/activities/payments/reconciliation';
import { environmentPaymentsSchema, paymentsSchema } from '../../../src/activities/payments/settings';
import { CORRECT_STEP } from '../../../src/contract/payments';
import { correctionOf } from '../../../src/workflows/payments/reconcile-payment/plan';
import { runActivity, type TestDatabase, type TestPostgres } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';
import { startBookingServer } from '../bookings/bookings-world';

const PASSWORD = 'migrator-test';
export const KEY = 'sk_test_of_the_sample';

export interface Provider {
  url: string;
  know(reference: string, intent: Partial<Intent>): void;
  /** By intent. */
  refunds(): { intent: string; amount: number }[];
  messages(): unknown[];
  stop(): Promise<void>;
}

async function startProvider(): Promise<Provider> {
  const directory = mkdtempSync(join(tmpdir(), 'dr-provider-'));
  const server = fastify({ logger: false, forceCloseConnections: true });
  addPaymentProvider(server, KEY, directory);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    url: `${url}/provider`,
    know: (reference, intent) =>
      setIntents(directory, {
        [reference]: { status: 'succeeded', amount: 1_200, currency: 'eur', refunded: 0, ...intent },
      }),
    refunds: () =>
      Object.values(readProviderState(directory).refunds).map(({ intent, amount }) => ({ intent, amount })),
    messages: () => Object.values(readProviderState(directory).messages),
    stop: async () => {
      await server.close();
      rmSync(directory, { recursive: true });
    },
  };
}

const PAYMENTS = {
  role: 'runbooks_payments',
  tables: {
    payments: {
      columns: {
        amount: 'amount_cents',
        currency: 'currency',
        webhookHash: 'webhook_payload_hash',
        updatedAt: 'updated_at',
      },
    },
    bookings: {},
    audit: { columns: { entityType: 'entity_type', source: 'source', details: 'details' } },
  },
};

export const providersAt = (url: string) => {
  const auth = { kind: 'bearer', token: '${env:TEST_PAYMENTS_KEY}' };
  const headers = { 'Idempotency-Key': '{key}' };
  return {
    providers: {
      stripe: {
        read: {
          url: `${url}/v1/payment_intents/{reference}`,
          auth,
          timeoutMs: 5_000,
          expect: { livemode: true },
          fields: {
            status: 'status',
            reference: 'id',
            amount: 'amount_received',
            currency: 'currency',
            refunded: 'latest_charge.amount_refunded',
          },
        },
        states: {
          requires_payment_method: 'created',
          processing: 'pending',
          succeeded: 'succeeded',
          canceled: 'failed',
        },
        refund: {
          method: 'POST',
          url: `${url}/v1/refunds`,
          auth,
          headers,
          form: { payment_intent: '{reference}', amount: '{amount}' },
        },
      },
    },
    inform: {
      method: 'POST',
      url: `${url}/messages`,
      auth,
      headers,
      body: { booking: '{booking}', payment: '{payment}', outcome: '{outcome}', amount: '{amount}' },
    },
  };
};

export interface World {
  db: TestDatabase;
  activities: ReturnType<typeof createPaymentActivities>;
  booking: string;
  /** Of a repair: the fence of the first lease. */
  repair: {
    service: 'shop';
    environment: 'production';
    run: string;
    fence: { target: string; token: number };
  };
}

const OWNED = `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO booking_owner', current_database()); END $$;`;
const BOOKING = '00000000-0000-4000-8000-000000000001';

/** A held booking without payments, and a neighbour of it. */
export async function freshWorld(
  pg: TestPostgres,
  url: string,
  { payments = {}, sql = '' }: { payments?: object; sql?: string } = {},
): Promise<World> {
  process.env['TEST_PAYMENTS_KEY'] = KEY;
  const db = await pg.fresh({
    role: { user: 'runbooks_migrator', password: PASSWORD },
    sql: `${OWNED}
      UPDATE slots SET status = 'reserved' WHERE id = 1;
      INSERT INTO bookings (id, customer_id, slot_id, price_cents, expires_at) VALUES ('${BOOKING}', 1, 1, 1200, now() + interval '1 day');
      INSERT INTO bookings (customer_id, slot_id, price_cents, expires_at) VALUES (2, 2, 1200, now() + interval '1 day');
      INSERT INTO action_tokens (booking_id, purpose, token_hash, expires_at)
        SELECT id, 'cancel', sha256(id::text::bytea), now() + interval '1 day' FROM bookings; ${sql}`,
  });
  const shop = db.deps.config.services['shop']!;
  Object.assign(shop, { payments: paymentsSchema.parse({ ...PAYMENTS, ...payments }) });
  configureProviders({ db }, providersAt(url));
  const fence = { target: 'shop/production', token: 1 };
  return {
    db,
    activities: createPaymentActivities(db.deps),
    booking: BOOKING,
    repair: { ...db.place, run: 'run-1', fence },
  };
}

export function configureProviders({ db }: Pick<World, 'db'>, section: object): void {
  const { production } = db.deps.config.services['shop']!.environments;
  Object.assign(production!, { payments: environmentPaymentsSchema.parse(section) });
}

/** The number of a payment is the end of its key, and its place in time. */
export const idOf = (number: number) => `00000000-0000-4000-9000-00000000000${number}`;

export async function addPayment(
  { db, booking }: World,
  number: number,
  row: Partial<
    Record<'provider' | 'provider_ref' | 'status' | 'amount_cents' | 'webhook_payload_hash', unknown>
  >,
): Promise<string> {
  const full = {
    provider: 'stripe',
    provider_ref: `pi_${number}`,
    status: 'succeeded',
    amount_cents: 1_200,
    webhook_payload_hash: `hash-${number}`,
    ...row,
  };
  const names = Object.keys(full);
  await db.query(
    `INSERT INTO payments (id, booking_id, created_at, ${names.join(', ')})
     VALUES ('${idOf(number)}', '${booking}', now() - interval '1 day' + interval '${number} min', ${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(full),
  );
  return idOf(number);
}

/** Every row that no payment may touch, to the version of each row. */
export function untouchable({ db }: World): Promise<unknown[]> {
  const all = (table: string) => db.query(`SELECT t.xmin::text, t.*::text FROM ${table} t ORDER BY 2`);
  return Promise.all(['bookings', 'slots', 'action_tokens', 'customers'].map(all));
}

export function paymentsIn({ db }: World): Promise<unknown[]> {
  return db.query('SELECT p.*::text FROM payments p ORDER BY id');
}

export function auditOf({ db }: World) {
  return db.query<{ entity_id: string; action: string; source: string; details: Record<string, string> }>(
    'SELECT entity_id, action, source, details FROM audit_logs ORDER BY id',
  );
}

export const findPayments = ({ activities, db, booking }: World, subject: object = { booking }) =>
  runActivity(activities.findPayments, { ...db.place, ...subject });
export const correctionsIn = ({ payments }: PaymentFacts): Correction[] => payments.flatMap(correctionOf);
export const correct = ({ activities, repair }: World, corrections: Correction[], attempt = 1) =>
  runActivity(activities.correctPayments, { ...repair, step: CORRECT_STEP, corrections }, { attempt });
export const undoCorrection = ({ activities, repair }: World) =>
  runActivity(activities.undoPaymentCorrection, { ...repair, step: CORRECT_STEP }, { activityId: '9' });
export const refund = ({ activities, repair, booking, db }: World, { refunds }: PaymentFacts, attempt = 1) =>
  runActivity(
    activities.refundPayment,
    { ...db.place, booking, refund: refunds[0]!, fence: repair.fence },
    { attempt },
  );
export const stateOf = async ({ db }: World, number: number) =>
  (await db.query<{ status: string }>(`SELECT status FROM payments WHERE id = '${idOf(number)}'`))[0]?.status;

/** A server and a provider, from the first test of a file to its last. */
export const usePayments = () => ({
  pg: duringTests(startBookingServer),
  provider: duringTests(startProvider),
});
