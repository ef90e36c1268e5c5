/** The studio: people write, are billed by Stripe, and have models go on for them. */
import fastify, { type FastifyInstance } from 'fastify';
import { Pool } from 'pg';
import { Gauge, Registry } from 'prom-client';
import { countAnswers } from '../shared/answers';
import { followVersion } from '../shared/deployments';
import { createLog } from '../shared/log';
import { requireBearer } from '../shared/secrets';
import { addBilling, type StripeAccess } from './billing';
import { addDrafts, GOOD_RELEASE, trySave } from './drafts';
import { addGenerations, type ProviderAccess } from './generations';
import { followSwitches, readSwitches, setSwitches } from './switches';

export interface StudioOptions {
  /** Of the role studio_app: least privilege. */
  databaseUrl: string;
  redisUrl: string;
  /** 0 or absent: a free one. */
  port?: number;
  /** Where deployments, switches and the log are. */
  directory: string;
  operationsToken: string;
  stripe: Omit<StripeAccess, 'signingSecret'> & { secret: string };
  ai: ProviderAccess;
}

export interface StudioApp {
  url: string;
  stop(): Promise<void>;
}

const WINDOW_SECONDS = 15;

/** Starts it on the loopback address. It follows deployments and switches while it runs. */
export async function startStudio(options: StudioOptions): Promise<StudioApp> {
  const { directory, databaseUrl, operationsToken, stripe, ai, redisUrl } = options;
  const pool = new Pool({
    connectionString: databaseUrl,
    application_name: 'studio',
    max: 10,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 5_000,
  });
  pool.on('error', () => undefined);
  const running = { version: GOOD_RELEASE, switches: readSwitches(directory) };
  const stops = [
    followVersion(directory, (version) => (running.version = version)),
    followSwitches(directory, (switches) => (running.switches = switches)),
  ];
  const server = fastify({ logger: false, forceCloseConnections: true });
  const registers = [new Registry()];
  const answers = countAnswers(WINDOW_SECONDS);
  server.addHook('onResponse', (request, reply, done) => {
    if (request.url.startsWith('/api/documents') || request.url.startsWith('/api/ai'))
      answers.count(reply.statusCode);
    done();
  });
  addErrorLog(server, directory);
  const version = () => running.version;
  addDrafts(server, pool, { version, localOnly: () => running.switches.localOnly }, registers);
  const signingSecret = () => (running.switches.wrongWebhookSecret ? `${stripe.secret}-old` : stripe.secret);
  addBilling(server, pool, { ...stripe, signingSecret }, registers);
  const stopWorker = addGenerations(
    server,
    pool,
    { ...ai, redisUrl, switches: () => running.switches },
    registers,
  );
  addHealth(server, pool, version, registers);
  server.get('/api/metrics/error-rate', () => answers.read());
  addOperations(server, pool, { version, directory, token: operationsToken });
  const url = await server
    .listen({ host: '127.0.0.1', port: options.port ?? 0 })
    .catch(async (error: unknown) => {
      await stopWorker();
      throw error;
    });
  return {
    url,
    stop: async () => {
      stops.forEach((stop) => stop());
      await server.close();
      await stopWorker();
      await pool.end();
    },
  };
}

/** What a database says about itself is not for writers. */
function addErrorLog(server: FastifyInstance, directory: string): void {
  const log = createLog(directory);
  server.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    // No such document, or no such generation to write for.
    const status = error.code === '23503' ? 404 : (error.statusCode ?? 500);
    const { id: requestId, url: path } = request;
    if (status >= 500)
      log({ level: 'error', message: error.message, requestId, path, status, stack: error.stack });
    else if (status === 409) log({ level: 'warn', message: error.message, requestId, path, status });
    return reply.code(status).send({ error: status < 500 ? error.message : 'internal error' });
  });
}

function addHealth(server: FastifyInstance, pool: Pool, version: () => string, registers: Registry[]): void {
  const up = new Gauge({
    name: 'studio_ready',
    help: '1 where documents can be saved, else 0.',
    registers,
    async collect() {
      this.set(
        await trySave(pool, version()).then(
          () => 1,
          () => 0,
        ),
      );
    },
  });
  up.set(1);
  server.get('/health', () => ({ status: 'ok', release: version() }));
  server.get('/health/ready', async (_request, reply) => {
    const problem = await trySave(pool, version()).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (problem === undefined) return { status: 'ready' };
    return reply.code(503).send({ status: 'unavailable', checks: { saves: { ok: false, error: problem } } });
  });
  server.get('/metrics', async (_request, reply) => {
    const registry = registers[0]!;
    return reply.type(registry.contentType).send(await registry.metrics());
  });
}

/** For the runbooks, with the bearer token of the operators. */
function addOperations(
  server: FastifyInstance,
  pool: Pool,
  { version, directory, token }: { version: () => string; directory: string; token: string },
): void {
  const onRequest = requireBearer(token);
  server.post<{ Body: { on: boolean } }>('/ops/local-only', { onRequest }, ({ body }) => {
    const { localOnly } = setSwitches(directory, { localOnly: body.on });
    return { localOnly };
  });
  server.post('/ops/probe-save', { onRequest }, async () => {
    await trySave(pool, version());
    return { saved: true };
  });
  server.post<{ Body: { owner: string; drafts: number }; Headers: { 'idempotency-key': string } }>(
    '/ops/messages',
    { onRequest },
    async ({ body: { owner, drafts }, headers }) => {
      const text = `We could not save what you wrote for a while. ${drafts === 1 ? 'One document was' : `${drafts} documents were`} brought back; where two versions met you find both.`;
      await pool.query(
        'INSERT INTO messages (key, owner_id, text) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [headers['idempotency-key'], owner, text],
      );
      return { told: owner };
    },
  );
}
