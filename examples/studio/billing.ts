/** What Stripe tells the studio, and what of it has not come. */
import type { FastifyInstance } from 'fastify';
import type { Pool, PoolClient } from 'pg';
import { Counter, Gauge, type Registry } from 'prom-client';
import Stripe from 'stripe';
import { inTransaction } from '../shared/transaction';

export interface StripeAccess {
  /** Of the API. */
  url: string;
  key: string;
  /** Of the webhook endpoint. */
  signingSecret: () => string;
}

/** Adds POST /api/webhooks/stripe, and what its operators watch. */
export function addBilling(
  server: FastifyInstance,
  pool: Pool,
  access: StripeAccess,
  registers: Registry[],
): void {
  const taken = new Counter({
    name: 'studio_stripe_webhooks_total',
    help: 'What came to the webhook endpoint of Stripe.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['taken', 'refused', 'failed']) taken.inc({ result }, 0);
  addGauges(pool, access, registers);
  void server.register((scope, _options, done) => {
    // The signature is over the body as it came.
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, parsed) =>
      parsed(null, body),
    );
    scope.post('/api/webhooks/stripe', async ({ body, headers }, reply) => {
      let event: Stripe.Event;
      try {
        event = Stripe.webhooks.constructEvent(
          body as string,
          String(headers['stripe-signature']),
          access.signingSecret(),
        );
      } catch {
        taken.inc({ result: 'refused' });
        return reply.code(400).send({ error: 'the signature is not of this endpoint' });
      }
      try {
        await inTransaction(pool, (client) => apply(client, event));
      } catch (error) {
        taken.inc({ result: 'failed' });
        throw error;
      }
      taken.inc({ result: 'taken' });
      return { received: true };
    });
    done();
  });
}

/** In one transaction with its record: what came before is not applied again. One that means nothing leaves nothing. */
async function apply(client: PoolClient, { id, type, data }: Stripe.Event): Promise<void> {
  if ((type as string) === 'runbooks.probe') return;
  const { rowCount } = await client.query(
    'INSERT INTO stripe_events (id, type) VALUES ($1, $2) ON CONFLICT DO NOTHING',
    [id, type],
  );
  if (rowCount === 0 || !type.startsWith('customer.subscription.')) return;
  const { id: reference, status, customer, items } = data.object as Stripe.Subscription;
  await client.query(
    `UPDATE subscriptions SET status = $2, stripe_customer_id = $3, current_period_end = to_timestamp($4), updated_at = now()
      WHERE stripe_subscription_id = $1`,
    [reference, status, customer, items.data[0]!.current_period_end],
  );
}

/** No sample where Stripe or the database does not answer. */
function addGauges(pool: Pool, { url, key }: StripeAccess, registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => Promise<number>): void => {
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        const value = await read().catch(() => undefined);
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });
  };
  gauge(
    'studio_stripe_events_missing',
    'Events, of the newest hundred that Stripe could not deliver, that are not recorded after half a minute.',
    async () => {
      const answer = await fetch(`${url}/v1/events?delivery_success=false&limit=100`, {
        headers: { authorization: `Bearer ${key}` },
        signal: AbortSignal.timeout(2_000),
      });
      if (!answer.ok) throw new Error(`Stripe answers ${answer.status}`);
      const { data } = (await answer.json()) as { data: { id: string; created: number }[] };
      const ids = data.filter(({ created }) => created < Date.now() / 1_000 - 30).map(({ id }) => id);
      const { rowCount } = await pool.query('SELECT FROM stripe_events WHERE id = ANY($1)', [ids]);
      return ids.length - rowCount!;
    },
  );
  gauge(
    'studio_subscriptions_overdue',
    'Subscriptions that are active, and whose period ended more than an hour ago.',
    async () => {
      const { rows } = await pool.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM subscriptions WHERE status = 'active' AND current_period_end < now() - interval '1 hour'`,
      );
      return rows[0]!.count;
    },
  );
}
