import fastify, { type FastifyInstance } from 'fastify';
import { Pool } from 'pg';
import { addHealth } from './health';
import { countAnswers } from './metrics';
import { cancelBooking, confirmBooking, findSlots, holdSlot, Refused } from './store';
import { startTraffic } from './traffic';

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
}

export interface BookingApp {
  url: string;
  stop: () => Promise<void>;
}

const EXPIRE_EVERY_MS = 10_000;

/**
 * Starts the sample application on the loopback address. It survives the loss of its database: requests fail and are
 * counted, health turns red, and both recover with the next connection, also to another database of the same name.
 */
export async function startBookingApp(options: BookingAppOptions): Promise<BookingApp> {
  const poolMax = options.poolMax ?? 8;
  const pool = new Pool({
    connectionString: options.databaseUrl,
    application_name: 'booking-app',
    max: poolMax,
    connectionTimeoutMillis: 2_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 5_000,
    keepAlive: true,
  });
  // A connection that the server ends would otherwise end the process: idle ones report to the pool, one that is
  // between two statements of a transaction to itself. Its next statement fails, and the request with it.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
  const answers = countAnswers(options.windowSeconds ?? 15);
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.addHook('onResponse', async (request, reply) => {
    if (isBusiness(request.url)) answers.count(reply.statusCode >= 500);
  });
  addHealth(server, pool, poolMax, answers);
  addBookings(server, pool);
  // Before anything runs that would have to be stopped again if it fails.
  const customers = options.traffic ? await someCustomers(pool) : [];
  const url = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  const expiry = setInterval(() => void expireHolds(pool), EXPIRE_EVERY_MS);
  const stopTraffic = options.traffic ? startTraffic(url, customers) : undefined;
  return {
    url,
    stop: async () => {
      clearInterval(expiry);
      await stopTraffic?.();
      await server.close();
      await pool.end();
    },
  };
}

/** Health and metrics are no customers: they would thin the error rate out. */
function isBusiness(url: string): boolean {
  return url.startsWith('/slots') || url.startsWith('/bookings');
}

function addBookings(server: FastifyInstance, pool: Pool): void {
  server.setErrorHandler((error: Error & { statusCode?: number; code?: string }, _request, reply) => {
    const status = error.statusCode ?? (error.code === '22P02' || error.code === '23503' ? 400 : 500);
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
    async ({ query }) => ({ slots: await findSlots(pool, query.partySize, query.limit) }),
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
      reply.code(201).send(await holdSlot(pool, { ...body, key: headers['idempotency-key'] })),
  );
  server.post<{ Params: { id: string } }>('/bookings/:id/confirm', ({ params }) =>
    confirmBooking(pool, params.id),
  );
  server.post<{ Params: { id: string } }>('/bookings/:id/cancel', ({ params }) =>
    cancelBooking(pool, params.id),
  );
}

const digits = { type: 'string', pattern: '^[0-9]{1,18}$' };
const positive = (fallback: number, maximum: number): object => ({
  type: 'integer',
  minimum: 1,
  maximum,
  default: fallback,
});

async function expireHolds(pool: Pool): Promise<void> {
  // Fails while the database is away; the age of the last run, in the detailed health check, tells.
  await pool.query('SELECT expire_held_bookings()').catch(() => undefined);
  await pool.query('DELETE FROM idempotency_keys WHERE expires_at < now()').catch(() => undefined);
}

async function someCustomers(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ id: string }>('SELECT id FROM customers ORDER BY id LIMIT 20');
  return rows.map(({ id }) => id);
}

/** As a program: DATABASE_URL, and optionally PORT and TRAFFIC=1. */
async function main(): Promise<void> {
  const { DATABASE_URL: databaseUrl, PORT: port, TRAFFIC: traffic } = process.env;
  if (databaseUrl === undefined || databaseUrl === '') throw new Error('DATABASE_URL is not set.');
  const app = await startBookingApp({ databaseUrl, port: Number(port ?? 0), traffic: traffic === '1' });
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
