/** The studio's account at Stripe: the simulator, with the subscriptions of its database, and customers who pay. */
import { randomUUID } from 'node:crypto';
import fastify from 'fastify';
import { startStripe, type SimulatedSubscription } from '../simulators/stripe';
import { requireBearer } from '../shared/secrets';
import { withClient } from '../shared/database';

export interface StripeAccount {
  url: string;
  /** Where trouble.ts changes it. */
  controlUrl: string;
  /** From now on customers pay, and the application hears of it. */
  deliverTo(application: string): void;
  stop(): Promise<void>;
}

interface Row {
  reference: string;
  status: string;
  customer: string;
  period_end: number;
}

const PAY_EVERY_MS = 2_000;
const MONTH_SECONDS = 30 * 86_400;

/** Starts it; nothing is delivered yet. It forgets its events when it stops. */
export async function startStripeAccount(options: {
  databaseUrl: string;
  key: string;
  secret: string;
}): Promise<StripeAccount> {
  const { databaseUrl, key, secret } = options;
  // First: where the database is away, nothing listens yet.
  const rows = await readSubscriptions(databaseUrl);
  const stripe = await startStripe('http://127.0.0.1:9', { key, secret, endpointId: 'we_studio' });
  for (const { reference, status, period_end, customer } of rows)
    stripe.subscribe(reference, status, period_end, customer);

  /** Something that happened a while ago, or just now. */
  const happened = (type: string, object: object = {}, ageSeconds = 0): string =>
    stripe.add(`evt_${randomUUID().replaceAll('-', '')}`, type, { ageSeconds, object });
  const pay = (): void => {
    const id = happened('invoice.paid');
    if (stripe.endpoint.status === 'enabled') stripe.deliver(id);
  };
  let paying: NodeJS.Timeout | undefined;

  const control = fastify({ logger: false, forceCloseConnections: true });
  control.addHook('onRequest', requireBearer(key));
  /** Customers paid while the endpoint was down: Stripe has given up on these. */
  control.post<{ Params: { count: number } }>('/lose/:count', COUNT, ({ params }) =>
    Array.from({ length: params.count }, (_, index) => happened('invoice.paid', {}, 7_200 - index)),
  );
  /** Active subscriptions began anew a day ago, and nobody has told the application. */
  control.post<{ Params: { count: number } }>('/renew/:count', COUNT, ({ params }) => {
    const active = [...stripe.subscriptions.values()].filter(({ status }) => status === 'active');
    return active.slice(0, params.count).map((one) => renew(one));
  });
  control.put<{ Params: { status: 'enabled' | 'disabled' } }>('/endpoint/:status', ({ params }) => {
    stripe.endpoint.status = params.status;
    return { status: params.status };
  });
  const renew = ({ id, status, customer }: SimulatedSubscription): string => {
    stripe.subscribe(id, status, Math.floor(Date.now() / 1_000) - 86_400 + MONTH_SECONDS, customer);
    return id;
  };
  const controlUrl = await control.listen({ host: '127.0.0.1', port: 0 });
  return {
    url: stripe.url,
    controlUrl,
    deliverTo: (application) => {
      stripe.endpoint.url = `${application}/api/webhooks/stripe`;
      paying = setInterval(pay, PAY_EVERY_MS).unref();
    },
    stop: async () => {
      clearInterval(paying);
      await control.close();
      await stripe.stop();
    },
  };
}

async function readSubscriptions(databaseUrl: string): Promise<Row[]> {
  return withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<Row>(
      `SELECT stripe_subscription_id AS reference, status, stripe_customer_id AS customer,
              extract(epoch FROM current_period_end)::int AS period_end FROM subscriptions`,
    );
    return rows;
  });
}

const COUNT = {
  schema: {
    params: { type: 'object', properties: { count: { type: 'integer', minimum: 1, maximum: 50 } } },
  },
};
