/**
 * The API of TripAvail, small: auth, packages, quote -> hold -> confirm, webhooks of payments, over PostgreSQL, Redis, queues of BullMQ
 * and Meilisearch. What stands under /operations is for whoever has the operators' token.
 */
import { randomUUID } from 'node:crypto';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { Redis } from 'ioredis';
import { Meilisearch } from 'meilisearch';
import { followVersion } from '../shared/deployments';
import { createLog } from '../shared/log';
import { sameText } from '../shared/secrets';
import { createAuth } from './auth';
import { createBookings } from './bookings';
import { readiness, type Parts } from './health';
import { setUpKeys } from './keys';
import { createLimiter, once } from './limiter';
import { createMetrics } from './metrics';
import { addOperations } from './operations';
import { createPayments } from './payments';
import { startQueues } from './queues';
import { keepAnswers } from './recent';
import { createStore, Refusal } from './store';
import { switches } from './switches';

export interface TravelOptions {
  databaseUrl: string;
  redisUrl: string;
  searchUrl: string;
  searchKey: string;
  operationsToken: string;
  /** With which the payment provider signs its events. */
  paymentsSecret: string;
  /** Of its switches, its deployments, its log, its signing secrets. */
  directory: string;
  port?: number;
}

export interface TravelApp {
  url: string;
  /** Registers the account that operators log in with, and puts every package into the search index. */
  prepare(account: { email: string; password: string }): Promise<void>;
  stop(): Promise<void>;
}

const text = { type: 'string', minLength: 1, maxLength: 200 };
const bodyOf = (properties: Record<string, object>) => ({
  schema: { body: { type: 'object', required: Object.keys(properties), properties } },
});

export async function startTravelApp(options: TravelOptions): Promise<TravelApp> {
  const { directory, operationsToken, paymentsSecret } = options;
  setUpKeys(directory);
  let now = switches.read(directory);
  const store = createStore(options.databaseUrl);
  const redis = new Redis(options.redisUrl, { maxRetriesPerRequest: 1 });
  redis.on('error', () => undefined);
  const search = new Meilisearch({ host: options.searchUrl, apiKey: options.searchKey, timeout: 3_000 });
  const queues = await startQueues({ redisUrl: options.redisUrl, store, search, switches: now });
  const stopFollowing = switches.follow(directory, (changed) => {
    now = changed;
    queues.follow(changed);
  });
  let version = '';
  const stopFollowingVersion = followVersion(directory, (inFront) => (version = inFront));
  const parts: Parts = { store, redis, search, queues, directory };
  const auth = createAuth(store, directory);
  const bookings = createBookings(store, redis, { switches: () => now, version: () => version });
  const payments = createPayments(store, () =>
    now.paymentSecret === 'right' ? paymentsSecret : `old-${paymentsSecret}`,
  );
  const limiter = createLimiter(redis, () => Number(now.limit));
  const metrics = createMetrics(parts);
  const answers = keepAnswers();
  const log = createLog(directory);

  const server = fastify({ trustProxy: 'loopback', genReqId: () => randomUUID() });
  const isCustomers = ({ url }: FastifyRequest): boolean =>
    !/^\/(health|metrics|operations|webhooks)/.test(url);
  server.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
    // Without Redis nobody is counted, and nobody is turned away.
    if (isCustomers(request) && !(await limiter.admits(request.ip).catch(() => true)))
      throw new Refusal(429, 'too many requests from this address');
  });
  server.addHook('onResponse', async (request, reply) => {
    if (!isCustomers(request)) return;
    metrics.answered(reply.statusCode, reply.elapsedTime / 1_000);
    answers.add(reply.statusCode, reply.elapsedTime / 1_000);
  });
  server.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
    const status = error instanceof Refusal ? error.status : (error.statusCode ?? 500);
    if (status >= 500)
      log({
        level: 'error',
        message: error.message,
        requestId: request.id,
        path: request.routeOptions.url ?? request.url,
        status,
        stack: error.stack,
      });
    const message = status === 500 ? 'something went wrong' : error.message;
    void reply.code(status).send({ error: message, requestId: request.id });
  });

  server.get('/health', () => ({ status: 'ok', version }));
  server.get('/health/ready', async (_, reply) => {
    const { isReady, checks } = await readiness(parts);
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ok' : 'unavailable', checks });
  });
  server.get('/metrics', async (_, reply) => reply.type('text/plain').send(await metrics.text()));

  const credentials = bodyOf({ email: text, password: { ...text, minLength: 12 } });
  type Credentials = { Body: { email: string; password: string } };
  server.post<Credentials>('/auth/register', credentials, async ({ body }, reply) =>
    reply.code(201).send(await auth.register(body.email, body.password)),
  );
  server.post<Credentials>('/auth/login', credentials, async ({ body }) => {
    const login = auth.login(body.email, body.password);
    await login.then(
      () => metrics.login('ok'),
      () => metrics.login('failed'),
    );
    return login;
  });

  server.get<{ Querystring: { q?: string } }>('/packages', async ({ query: { q } }) => {
    if (q === undefined) return { packages: await bookings.packages(20) };
    const found = await search.index('packages').search(q, { limit: 20 });
    return { packages: found.hits };
  });
  const choice = { packageId: text, unitId: text, units: { type: 'integer', minimum: 1, maximum: 8 } };
  server.post<{ Body: { packageId: string; unitId: string; units: number } }>(
    '/bookings/quote',
    bodyOf(choice),
    async ({ headers, body }, reply) => {
      auth.user(headers.authorization);
      return reply.code(201).send(await bookings.quote(body.packageId, body.unitId, body.units));
    },
  );
  /** The same key means the same request: it is done once. */
  const answerOnce = async (
    request: FastifyRequest,
    reply: FastifyReply,
    status: number,
    work: (user: string, requestKey?: string) => Promise<object>,
  ) => {
    const user = auth.user(request.headers.authorization);
    const key = request.headers['idempotency-key'];
    if (typeof key !== 'string') return reply.code(status).send(await work(user));
    const requestKey = `${user}:${key.slice(0, 100)}`;
    const done = await once(redis, requestKey, () => work(user, requestKey));
    if (done === undefined) throw new Refusal(409, 'that request is being worked on');
    return reply.code(status).send(done);
  };
  server.post<{ Body: { quoteId: string } }>(
    '/bookings/hold',
    bodyOf({ quoteId: text }),
    async (request, reply) =>
      answerOnce(request, reply, 201, (user, requestKey) =>
        bookings.hold(user, request.body.quoteId, requestKey),
      ),
  );
  server.post<{ Params: { id: string } }>('/bookings/:id/confirm', async (request, reply) =>
    answerOnce(request, reply, 200, async (user) => {
      const booking = await bookings.confirm(user, request.params.id);
      await queues.add('notifications', 'confirmed', { booking: booking.id });
      await queues.add('search-indexing', 'index', { packageId: booking.packageId }, 3);
      return booking;
    }),
  );
  server.get('/bookings', async ({ headers }) => ({
    bookings: await bookings.of(auth.user(headers.authorization)),
  }));

  void server.register((scope, _, done) => {
    // What is signed is the text, to the letter.
    scope.removeContentTypeParser('application/json');
    scope.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, parsed) =>
      parsed(null, body),
    );
    scope.post<{ Body: string }>('/webhooks/payments', async ({ headers, body }) => {
      await payments.take(body, String(headers['x-signature'] ?? ''));
      return {};
    });
    done();
  });

  addOperations(server, {
    isOperator: ({ headers }) => sameText(headers.authorization ?? '', `Bearer ${operationsToken}`),
    ...{ parts, payments, limiter, answers, switches: () => now },
  });

  const url = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  return {
    url,
    async prepare({ email, password }) {
      await auth.setPassword(email, password);
      for (const { id } of await store.query<{ id: string }>('SELECT id FROM packages'))
        await queues.add('search-indexing', 'index', { packageId: id }, 3);
    },
    async stop() {
      stopFollowing();
      stopFollowingVersion();
      await server.close();
      await queues.stop();
      redis.disconnect();
      await store.end();
    },
  };
}
