/** The little application on a database of its own, Stripe's simulator, and a configuration around both. */
import { createPaymentActivities } from '../../../src/activities/payments';
import { environmentStripeSchema, stripeSchema } from '../../../src/activities/payments/stripe/settings';
import {
  environmentPaymentWebhooksSchema,
  paymentWebhooksSchema,
} from '../../../src/activities/payments/webhooks/settings';
import { setEnvironment } from '../../../src/config/secrets';
import { appSchema, NAMES, startPaymentApp, type Names } from '../../simulators/payment-app';
import { SIGNING_SECRET, startStripe, STRIPE_KEY } from '../../../examples/simulators/stripe';
import { runSql, type TestPostgres } from '../../support/postgres';

const PASSWORD = 'migrator-test';

/** What the configuration of a service and of an environment says about the application with these names. */
export function stripeSettings(n: Names = NAMES) {
  return {
    role: 'runbooks_stripe',
    tables: {
      events: { table: n.events, columns: { id: n.event, event: n.event } },
      subscriptions: {
        table: n.subscriptions,
        columns: {
          reference: n.reference,
          customer: 'customer_ref',
          periodEnd: 'period_end',
          updatedAt: 'updated_at',
        },
      },
      audit: { table: 'payment_audit', columns: { details: 'details' } },
    },
  };
}

export function stripeEnvironment(stripe: string, app: string) {
  return {
    key: '${env:STRIPE_TEST_KEY}',
    baseUrl: stripe,
    livemode: false,
    endpoint: 'we_shop',
    pauseSeconds: 0,
    patienceSeconds: 3,
    lookEverySeconds: 0.2,
    probe: {
      method: 'POST',
      url: `${app}/webhooks/stripe`,
      auth: {
        kind: 'hmac',
        secret: '${env:STRIPE_TEST_SIGNING}',
        header: 'Stripe-Signature',
        prefix: 't={timestamp},v1=',
        signs: '{timestamp}.{body}',
      },
      body: { id: 'evt_{probe}', object: 'event', type: 'runbooks.probe', data: { object: {} } },
    },
  };
}

export function webhookSettings(n: Names = NAMES) {
  return {
    tables: {
      events: {
        table: n.log,
        columns: { error: 'last_error', hash: 'payload_hash', kind: 'type', receivedAt: 'received_at' },
      },
      ledger: { table: n.ledger },
      payouts: { table: n.payouts },
    },
    ledger: { kinds: ['payment.succeeded'] },
  };
}

export function webhookEnvironment(app: string) {
  return {
    replay: { method: 'POST', url: `${app}/internal/webhooks/{id}/replay` },
    pauseSeconds: 0,
    patienceSeconds: 3,
    lookEverySeconds: 0.2,
    probe: {
      method: 'POST',
      url: `${app}/webhooks/plain`,
      auth: { kind: 'hmac', secret: '${env:PLAIN_TEST_SIGNING}' },
      body: { id: 'evt_{probe}', type: 'runbooks.probe' },
    },
  };
}

export const SECRETS = {
  STRIPE_TEST_KEY: STRIPE_KEY,
  STRIPE_TEST_SIGNING: SIGNING_SECRET,
  PLAIN_TEST_SIGNING: 'plain-signing-secret',
};

export async function prepareServer(pg: TestPostgres): Promise<void> {
  await runSql(
    pg.urlOf('postgres'),
    `CREATE ROLE runbooks_migrator LOGIN PASSWORD '${PASSWORD}'; GRANT SET ON PARAMETER session_replication_role TO runbooks_migrator`,
  );
}

export type StripeWorld = Awaited<ReturnType<typeof freshStripeWorld>>;

/** The caller stops it. */
export async function freshStripeWorld(
  pg: TestPostgres,
  {
    names = NAMES,
    service = {},
    environment = {},
    maxDestructive = 100,
  }: {
    names?: Names;
    service?: object;
    environment?: object;
    maxDestructive?: number;
  } = {},
) {
  setEnvironment(SECRETS);
  const db = await pg.fresh({
    role: { user: 'runbooks_migrator', password: PASSWORD },
    sql: `DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO runbooks_migrator', current_database()); END $$; ${appSchema(names)}`,
    service: { maxDestructive },
  });
  const app = await startPaymentApp(pg.urlOf(db.name), names);
  const stripe = await startStripe(app.url);
  const shop = db.deps.config.services['shop'] as unknown as Record<string, unknown>;
  shop['stripe'] = stripeSchema.parse({ ...stripeSettings(names), ...service });
  shop['paymentWebhooks'] = paymentWebhooksSchema.parse(webhookSettings(names));
  const { production } = shop['environments'] as { production: Record<string, unknown> };
  production['stripe'] = environmentStripeSchema.parse({
    ...stripeEnvironment(stripe.url, app.url),
    ...environment,
  });
  production['paymentWebhooks'] = environmentPaymentWebhooksSchema.parse(webhookEnvironment(app.url));
  const repair = { ...db.place, run: 'run-1', fence: { target: 'shop/production', token: 1 } };
  return {
    db,
    app,
    stripe,
    repair,
    act: createPaymentActivities(db.deps),
    stop: async () => {
      await stripe.stop();
      await app.stop();
    },
  };
}
