/** The appointment service: guests book, hosts are told by webhook and find it in their calendars. */
import fastify, { type FastifyInstance } from 'fastify';
import { Pool } from 'pg';
import { countAnswers } from '../shared/answers';
import { requireBearer } from '../shared/secrets';
import { addWebhooks, sendDue, type WebhookOptions } from '../shared/webhooks';
import { followVersion } from '../shared/deployments';
import { addBookings, Refused, countSlots } from './bookings';
import { calendarClients } from './calendar-clients';
import { addCalendars, sync, writeBack } from './calendars';
import { sendEmails } from './emails';
import { every } from './every';
import { addMetrics } from './metrics';
import { startTraffic } from './traffic';
import type { Switches } from './switches';

export interface AppOptions {
  /** Of the role appointments_app. */
  databaseUrl: string;
  /** Of the operators. */
  token: string;
  /** Of what links in e-mails are made. */
  linkKey: string;
  /** Where deployments are; the running application follows them. */
  directory: string;
  /** Servers of others. */
  calendarsUrl: string;
  mailUrl: string;
  receiverUrl: string;
  switches: () => Switches;
}

export interface AppointmentsApp {
  url: string;
  stop: () => Promise<void>;
}

const WINDOW_SECONDS = 15;
const SYNC_EVERY_MS = 5_000;
const JOB_EVERY_MS = 1_000;

/** Starts it on the loopback address. It survives the loss of its database, and of everybody else. */
export async function startApp(options: AppOptions): Promise<AppointmentsApp> {
  const { directory, token, linkKey, switches } = options;
  const pool = openPool(options.databaseUrl);
  const clients = calendarClients(options.calendarsUrl);
  let version = '';
  const stopFollowing = followVersion(directory, (now) => (version = now));
  const server = fastify({ logger: false, forceCloseConnections: true });
  const answers = countAnswers(WINDOW_SECONDS);
  const countCreate = addMetrics(server, { pool, countSlots: () => countSlots(pool) });
  server.addHook('onResponse', async ({ method, url }, { statusCode }) => {
    if (!/^\/v0\/(availability|bookings)/.test(url)) return;
    answers.count(statusCode);
    if (method === 'POST' && url === '/v0/bookings') countCreate(statusCode);
  });
  server.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500;
    const shown = status < 500 || error instanceof Refused;
    return reply.code(status).send({ error: shown ? error.message : 'internal error' });
  });
  const webhooks: WebhookOptions = {
    service: 'appointments',
    token,
    receiverUrl: () => options.receiverUrl,
    backoffMs: 5_000,
    timeoutMs: () => 3_000,
  };
  addHealth(server, { pool, version: () => version, errorRate: answers.read });
  addBookings(server, { pool, version: () => version, linkKey });
  addWebhooks(server, { current: () => pool }, webhooks);
  addCalendars(server, { pool, clients, token, linkKey });
  addOutbox(server, pool, token);
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  const mail = { mailUrl: options.mailUrl, appUrl: url, linkKey };
  const stops = [
    // The first attempt only: what failed waits for POST /v0/webhooks/deliveries/run.
    every(JOB_EVERY_MS, () => sendDue(pool, webhooks, { again: false })),
    every(JOB_EVERY_MS, () => sendEmails(pool, mail)),
    every(JOB_EVERY_MS, async () => switches().jobs.writeback && writeBack(pool, clients)),
    every(SYNC_EVERY_MS, async () => {
      if (!switches().jobs.sync) return;
      for (const provider of ['google', 'microsoft'] as const) await sync(pool, clients, provider);
    }),
    startTraffic(url),
  ];
  return {
    url,
    stop: async () => {
      stopFollowing();
      await Promise.all(stops.map((stop) => stop()));
      await server.close();
      await pool.end();
    },
  };
}

function openPool(connectionString: string): Pool {
  const pool = new Pool({
    connectionString,
    application_name: 'appointments-app',
    max: 10,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 5_000,
  });
  // The server may end a connection at any time; the next request gets another one.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

function addHealth(
  server: FastifyInstance,
  { pool, version, errorRate }: { pool: Pool; version: () => string; errorRate: () => object },
): void {
  server.get('/', async (_request, reply) => {
    const { rows } = await pool.query<{ name: string }>('SELECT name FROM hosts ORDER BY id');
    const names = rows.map(({ name }) => name).join(', ');
    return reply
      .type('text/html; charset=utf-8')
      .send(
        `<!doctype html><html lang="en"><title>Appointments</title><h1>Appointments</h1><p>With ${names}.</p></html>`,
      );
  });
  server.get('/health', async (_request, reply) => {
    const database = await pool.query('SELECT FROM bookings LIMIT 1').then(
      () => 'ok',
      () => 'failed',
    );
    const status = database === 'ok' ? 'ok' : 'failed';
    return reply.code(status === 'ok' ? 200 : 503).send({ status, version: version(), checks: { database } });
  });
  server.get('/v0/metrics/error-rate', errorRate);
}

/** What was not sent yet, the oldest first, and since when. */
function addOutbox(server: FastifyInstance, pool: Pool, token: string): void {
  server.get('/v0/emails/outbox', { onRequest: requireBearer(token) }, async () => {
    const { rows } = await pool.query<object>(
      `SELECT id::text, booking_id AS booking, kind, last_error AS "lastError", created_at AS "createdAt"
         FROM email_outbox WHERE status = 'pending' ORDER BY id LIMIT 100`,
    );
    return { pending: rows };
  });
}
