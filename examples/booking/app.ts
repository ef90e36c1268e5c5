import { randomBytes } from 'node:crypto';
import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { Registry } from 'prom-client';
import { countAnswers } from '../shared/answers';
import { addCron, startScheduler } from './cron';
import { recommend } from './features';
import { addHealth } from './health';
import { createInterest } from './interest';
import { createLoad, type Load } from '../shared/load';
import { createLog } from '../shared/log';
import { addMetrics } from './metrics';
import { addOperations } from './operations';
import { addPaymentProvider } from './payment-provider';
import { addPace } from './pace';
import { openPools, type AppPools } from '../shared/pools';
import { addProcess } from '../shared/process';
import { startReceiver, type Receiver } from '../shared/receiver';
import { addRefusals, countRefusals } from './refusals';
import { followOperators, type Running } from './running';
import { cancelBooking, confirmBooking, holdSlot, Refused } from './store';
import type { Switches } from './switches';
import { addSessions } from './sessions';
import { startTraffic } from './traffic';
import { addWebhooks } from '../shared/webhooks';

export interface BookingAppOptions {
  /** Of the role booking_app: least privilege. */
  databaseUrl: string;
  /** 0 or absent: a free one. */
  port?: number;
  /** Lets a few customers of its own search and book, so that the error rate is one of real requests. */
  traffic?: boolean;
  /** How far back the error rate looks. */
  windowSeconds?: number;
  poolMax?: number;
  /** For setting the pool and restarting it while it runs. Default: neither can be done. */
  operationsToken?: string;
  /** Of the scheduler that has holds expire. Default: one of its own, so that nobody else can call it. */
  cronSecret?: string;
  /** How often it does. */
  expireEveryMs?: number;
  /** For asking the provider of payments, which answers beside the application. Default: nobody can. */
  paymentsKey?: string;
  /** Of webhooks: between the first attempt and the second one, and how long a receiver may take. */
  webhookBackoffMs?: number;
  webhookTimeoutMs?: number;
  /** Where deployments and switches are; the running application follows them. Default: it changes no more. */
  directory?: string;
}

export interface BookingApp {
  url: string;
  /** Who the webhooks go to. */
  receiver: Receiver;
  stop: () => Promise<void>;
}

const EXPIRE_EVERY_MS = 10_000;
const WEBHOOK_BACKOFF_MS = 5_000;
const WEBHOOK_TIMEOUT_MS = 5_000;

/**
 * Starts the sample application on the loopback address. It survives the loss of its database: requests fail and are
 * counted, health turns red, and both recover with the next connection, also to another database of the same name.
 */
export async function startBookingApp(options: BookingAppOptions): Promise<BookingApp> {
  const pools = openPools(options.databaseUrl, options.poolMax ?? 8, 'booking-app');
  const windowSeconds = options.windowSeconds ?? 15;
  const answers = countAnswers(windowSeconds);
  const refusals = countRefusals(windowSeconds);
  // Behind a proxy of this machine an address is the one that the proxy names.
  const server = fastify({ logger: false, forceCloseConnections: true, trustProxy: 'loopback' });
  const { running, stop: stopFollowing } = followOperators(options.directory);
  const interest = createInterest(windowSeconds, { switches: () => running.switches });
  const switches = () => running.switches;
  const registers = [new Registry()];
  const countForMetrics = addMetrics(server, pools, interest, registers);
  const memoryLimitMegabytes = () => switches().memoryLimitMegabytes;
  const use = { service: 'booking', windowSeconds, memoryLimitMegabytes };
  const stopLooking = addProcess(server, use, registers);
  const countPace = addPace(server, interest, windowSeconds);
  server.addHook('onRequest', async (request, reply) => {
    if (running.switches.blocked.includes(request.ip)) await reply.code(403).send({ error: 'blocked' });
  });
  server.addHook('onResponse', async (request, reply) => {
    if (!isBusiness(request.url)) return;
    const seconds = reply.elapsedTime / 1_000;
    answers.count(reply.statusCode);
    refusals.count(request.ip, reply.statusCode, request.method === 'POST' && reply.statusCode === 201);
    countForMetrics(reply.statusCode, seconds);
    countPace(seconds);
  });
  await server.register(rateLimit, {
    timeWindow: 1_000,
    max: (_request, address) => exceptionOf(running, address)?.limit ?? running.switches.requestsPerSecond,
    allowList: ({ url }, address) => !isBusiness(url) || exceptionOf(running, address)?.limit === null,
  });
  addHealth(server, pools, answers, running);
  const load = createLoad(switches);
  if (options.operationsToken !== undefined) {
    addOperations(server, pools, { token: options.operationsToken, restarted: load.restart });
    addRefusals(server, refusals, options.operationsToken);
    if (options.directory !== undefined)
      addSessions(server, options.directory, options.operationsToken, registers);
    addWebhooks(server, pools, {
      service: 'booking',
      token: options.operationsToken,
      receiverUrl: () => receiver.url,
      backoffMs: options.webhookBackoffMs ?? WEBHOOK_BACKOFF_MS,
      timeoutMs: () => options.webhookTimeoutMs ?? WEBHOOK_TIMEOUT_MS,
    });
  }
  addBookings(server, pools, { running, interest, load, log: createLog(options.directory) });
  const secret = options.cronSecret ?? randomBytes(24).toString('base64url');
  addCron(server, pools, running, secret);
  if (options.paymentsKey !== undefined) addPaymentProvider(server, options.paymentsKey, options.directory);
  // Before anything runs that would have to be stopped again if it fails.
  const customers = options.traffic ? await someCustomers(pools.current()) : [];
  const receiver = await startReceiver({
    service: 'booking',
    mood: () => running.switches.webhookReceiver,
  });
  const url = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 }).catch(async (error) => {
    await receiver.stop();
    throw error;
  });
  const everyMs = options.expireEveryMs ?? EXPIRE_EVERY_MS;
  const stopScheduler = startScheduler(url, { running, secret, everyMs });
  const stopTraffic = options.traffic ? startTraffic(url, customers) : undefined;
  return {
    url,
    receiver,
    stop: async () => {
      stopFollowing();
      stopLooking();
      stopScheduler();
      await load.stop();
      await stopTraffic?.();
      await server.close();
      await receiver.stop();
      await pools.end();
    },
  };
}

/** Health and metrics are no customers: they would thin the error rate out. */
function isBusiness(url: string): boolean {
  return url.startsWith('/slots') || url.startsWith('/bookings');
}

/** One that is over by itself is none. */
function exceptionOf({ switches }: Running, address: string): Switches['exceptions'][string] | undefined {
  const found = switches.exceptions[address];
  return found !== undefined && Date.parse(found.until) > Date.now() ? found : undefined;
}

function addBookings(
  server: FastifyInstance,
  pools: AppPools,
  {
    running,
    interest,
    load,
    log,
  }: {
    running: Running;
    interest: ReturnType<typeof createInterest>;
    load: Load;
    log: ReturnType<typeof createLog>;
  },
): void {
  server.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    const status = error.statusCode ?? (error.code === '22P02' || error.code === '23503' ? 400 : 500);
    const { id: requestId, url: path } = request;
    if (status >= 500)
      log({ level: 'error', message: error.message, requestId, path, status, stack: error.stack });
    // A transition that a booking cannot make.
    else if (status === 409) log({ level: 'warn', message: error.message, requestId, path, status });
    // What a database says about itself is not for customers.
    return reply
      .code(status)
      .send({ error: status < 500 || error instanceof Refused ? error.message : 'internal error' });
  });
  server.get<{ Querystring: { partySize: number; limit: number } }>(
    '/slots',
    {
      schema: {
        querystring: { type: 'object', properties: { partySize: positive(1, 50), limit: positive(20, 100) } },
      },
    },
    async ({ query }) => {
      const pool = pools.current();
      const slots = await running.release.findSlots(pool, query.partySize, query.limit);
      await load.carry();
      const found = { slots, interested: await interest.read(pool) };
      return running.switches.recommendations ? { ...found, recommended: await recommend(pool) } : found;
    },
  );
  server.post<{
    Body: { slotId: string; customerId: string; partySize: number };
    Headers: { 'idempotency-key': string };
  }>(
    '/bookings',
    {
      schema: {
        headers: {
          type: 'object',
          required: ['idempotency-key'],
          properties: { 'idempotency-key': { type: 'string', minLength: 8 } },
        },
        body: {
          type: 'object',
          required: ['slotId', 'customerId'],
          properties: { slotId: digits, customerId: digits, partySize: positive(1, 50) },
        },
      },
    },
    async ({ body, headers }, reply) =>
      reply.code(201).send(await holdSlot(pools.current(), { ...body, key: headers['idempotency-key'] })),
  );
  server.post<{ Params: { id: string } }>('/bookings/:id/confirm', ({ params }) =>
    confirmBooking(pools.current(), params.id),
  );
  server.post<{ Params: { id: string } }>('/bookings/:id/cancel', ({ params }) =>
    cancelBooking(pools.current(), params.id),
  );
}

const digits = { type: 'string', pattern: '^[0-9]{1,18}$' };
const positive = (fallback: number, maximum: number): object => ({
  type: 'integer',
  minimum: 1,
  maximum,
  default: fallback,
});

async function someCustomers(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM customers ORDER BY id LIMIT 20');
  return rows.map(({ id }) => id);
}

/** As a program: DATABASE_URL, and optionally PORT, TRAFFIC=1, DIRECTORY of deployments and switches, BOOKING_OPERATIONS_TOKEN, BOOKING_CRON_SECRET, BOOKING_PAYMENTS_KEY. */
async function main(): Promise<void> {
  const { DATABASE_URL: databaseUrl, PORT: port, TRAFFIC: traffic, DIRECTORY: directory } = process.env;
  const { BOOKING_OPERATIONS_TOKEN: operationsToken, BOOKING_CRON_SECRET: cronSecret } = process.env;
  const { BOOKING_PAYMENTS_KEY: paymentsKey } = process.env;
  if (databaseUrl === undefined || databaseUrl === '') throw new Error('DATABASE_URL is not set.');
  const app = await startBookingApp({
    databaseUrl,
    port: Number(port ?? 0),
    traffic: traffic === '1',
    directory,
    operationsToken,
    cronSecret,
    paymentsKey,
  });
  console.log(app.url);
  const stop = (): void => void app.stop().then(() => process.exit(0));
  process.once('SIGINT', stop).once('SIGTERM', stop);
}

if (require.main === module) {
  main().catch((error: Error) => {
    console.error(`The booking application cannot start: ${error.message}`);
    process.exit(1);
  });
}
