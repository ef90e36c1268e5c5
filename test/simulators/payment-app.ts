/** A small application that takes events of payments, on real PostgreSQL; it can be broken on purpose. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Pool, type PoolClient } from 'pg';
import Stripe from 'stripe';
import { serve } from '../support/local-server';
import { SIGNING_SECRET, textOf } from '../../examples/simulators/stripe';

export const PLAIN_SECRET = 'plain-signing-secret';

/** What its tables and columns are called. */
export const NAMES = {
  events: 'stripe_events',
  event: 'id',
  subscriptions: 'subscriptions',
  reference: 'stripe_subscription_id',
  log: 'webhook_events',
  ledger: 'ledger_entries',
  payouts: 'payout_jobs',
};
export type Names = typeof NAMES;

export const OTHER_NAMES: Names = {
  events: 'billing_inbox',
  event: 'external_id',
  subscriptions: 'abos',
  reference: 'vendor_ref',
  log: 'incoming_hooks',
  ledger: 'journal',
  payouts: 'auszahlungen',
};

export function appSchema(n: Names = NAMES, role = 'runbooks_stripe'): string {
  return `
    CREATE TABLE ${n.events} (${n.event} text PRIMARY KEY, type text NOT NULL, at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE effects (event text NOT NULL, at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE ${n.subscriptions} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ${n.reference} text, status text NOT NULL,
      customer_ref text, period_end timestamptz, plan text DEFAULT 'basic', updated_at timestamptz);
    CREATE TABLE ${n.log} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL, type text NOT NULL DEFAULT 'payment.succeeded',
      payload_hash text, status text NOT NULL DEFAULT 'failed', last_error text, received_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE ${n.ledger} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, event_id text NOT NULL, amount int NOT NULL DEFAULT 100);
    CREATE TABLE ${n.payouts} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, status text NOT NULL DEFAULT 'pending', run_at timestamptz NOT NULL);
    CREATE TABLE IF NOT EXISTS payment_audit (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, entity_id text, action text, details jsonb);
    DO $$ BEGIN CREATE ROLE ${role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    GRANT SELECT, UPDATE (status, customer_ref, period_end, updated_at) ON ${n.subscriptions} TO ${role};
    GRANT SELECT, INSERT ON payment_audit TO ${role};
    GRANT ${role} TO runbooks_migrator;
    GRANT SELECT ON ${n.events}, effects, ${n.subscriptions}, ${n.log}, ${n.ledger}, ${n.payouts}, payment_audit TO runbooks_migrator;`;
}

export type PaymentApp = Awaited<ReturnType<typeof startPaymentApp>>;

/** Starts it on that database, whose tables are there. The caller stops it. */
export async function startPaymentApp(database: string, names: Names = NAMES) {
  const pool = new Pool({ connectionString: database, max: 8 });
  pool.on('error', () => undefined);
  const state = {
    secret: SIGNING_SECRET,
    plainSecret: PLAIN_SECRET,
    /** The handler throws. */
    broken: false,
    /** It applies the event and answers 500 all the same. */
    answersLate: false,
    /** It answers 200 and records nothing. */
    forgets: false,
    /** Events on which it throws. */
    poison: new Set<string>(),
    /** How long applying takes. */
    slowMs: 0,
    /** Every event that came with a good signature. */
    received: [] as string[],
    /** Rows that were asked to be replayed. */
    replays: [] as string[],
  };

  /** In one transaction with its record: what came before is not applied again. */
  async function apply(client: PoolClient, { id, type, data }: Stripe.Event): Promise<void> {
    const { rowCount } = await client.query(
      `INSERT INTO ${names.events} (${names.event}, type) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
      [id, type],
    );
    if (rowCount === 0) return;
    await client.query('INSERT INTO effects (event) VALUES ($1)', [id]);
    if (type !== 'customer.subscription.updated') return;
    const { id: reference, status } = data.object as { id: string; status: string };
    await client.query(`UPDATE ${names.subscriptions} SET status = $2 WHERE ${names.reference} = $1`, [
      reference,
      status,
    ]);
  }

  /** The row tells whether it was applied, and the ledger whether its event was. */
  async function replay(client: PoolClient, id: string): Promise<void> {
    const { rows } = await client.query<{ event_id: string; status: string }>(
      `SELECT event_id, status FROM ${names.log} WHERE id = $1 FOR UPDATE`,
      [id],
    );
    if (rows[0] === undefined || rows[0].status === 'processed') return;
    await client.query(`INSERT INTO ${names.ledger} (event_id) VALUES ($1)`, [rows[0].event_id]);
    await client.query(`UPDATE ${names.log} SET status = 'processed', last_error = NULL WHERE id = $1`, [id]);
  }

  async function within(work: (client: PoolClient) => Promise<void>): Promise<void> {
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      await work(client);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  }

  async function take(event: Stripe.Event): Promise<number> {
    const isProbe = (event.type as string) === 'runbooks.probe';
    if (!isProbe) state.received.push(event.id);
    if (state.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, state.slowMs));
    if (state.broken || state.poison.has(event.id)) return 500;
    if (!isProbe && !state.forgets) await within((client) => apply(client, event));
    return state.answersLate ? 500 : 200;
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await textOf(request);
    const [, row] = /^\/internal\/webhooks\/(\w+)\/replay$/.exec(request.url!) ?? [];
    if (row !== undefined) {
      state.replays.push(row);
      if (state.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, state.slowMs));
      if (state.broken || state.poison.has(row)) {
        await pool.query(`UPDATE ${names.log} SET last_error = 'the handler fell over' WHERE id = $1`, [row]);
        return void response.writeHead(500).end('boom');
      }
      if (!state.forgets) await within((client) => replay(client, row));
      return void response.writeHead(200).end('{}');
    }
    if (!isSigned(request, body)) return void response.writeHead(400).end('signature mismatch');
    response.writeHead(await take(JSON.parse(body) as Stripe.Event)).end('{}');
  }

  function isSigned({ url, headers }: IncomingMessage, body: string): boolean {
    if (url === '/webhooks/plain') {
      const wanted = Buffer.from(createHmac('sha256', state.plainSecret).update(body).digest('hex'));
      const given = Buffer.from(String(headers['x-signature']));
      return wanted.length === given.length && timingSafeEqual(wanted, given);
    }
    try {
      Stripe.webhooks.constructEvent(body, String(headers['stripe-signature']), state.secret);
      return true;
    } catch {
      return false;
    }
  }

  const server = await serve(
    (request, response) =>
      void handle(request, response).catch((error: Error) => response.writeHead(500).end(error.message)),
  );
  return {
    ...server,
    state,
    sql: async <T extends object = Record<string, unknown>>(text: string) =>
      (await pool.query(text)).rows as T[],
    stop: async () => {
      await server.stop();
      await pool.end();
    },
  };
}
