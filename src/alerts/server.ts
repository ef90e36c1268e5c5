import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import type { Registry } from 'prom-client';
import type { AlertSourceConfig } from '../config/alert-schema';
import type { LoadedConfig } from '../config/load';
import type { Log } from './log';
import type { AlertMetrics, Counted } from './metrics';
import type { Receive } from './receive';
import type { Headers } from './sender';

declare module 'fastify' {
  interface FastifyRequest {
    receivedAtMs: number;
  }
}

interface Options {
  config: LoadedConfig;
  receive: Receive;
  metrics: AlertMetrics;
  registry: Registry;
  /** Why Temporal cannot take anything now; undefined when it can. */
  problem: () => Promise<string | undefined>;
  log: Log;
}

/** How long a request may take to come in whole. */
const REQUEST_MS = 10_000;
/** Each holds its body in memory. */
const MAX_IN_FLIGHT = 1_000;
const RETRY_AFTER_SECONDS = 5;

const COUNTED: Partial<Record<number, Counted>> = { 429: 'limited', 503: 'unavailable' };

interface Params {
  source: string;
}

/**
 * The HTTP side of the intake. A request is refused as early as it can be: by its source before its body is read, by
 * its signature before its body is parsed.
 */
export async function createServer({ config, receive, metrics, registry, problem, log }: Options) {
  const { maxBodyKilobytes, maxPerMinute, sources } = config.alerts;
  const server = fastify({
    logger: false,
    bodyLimit: maxBodyKilobytes * 1_024,
    requestTimeout: REQUEST_MS,
    http: { connectionsCheckingInterval: 1_000 },
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    exposeHeadRoutes: false,
  });
  let inFlight = 0;
  let closing = false;

  server.decorateRequest('receivedAtMs', 0);
  server.addHook('preClose', async () => {
    closing = true;
  });
  // Otherwise a sender that keeps its connection would hold up the end.
  server.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close');
  });

  // Signatures are over the bytes as they came.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json(?:\s*;|$)/i,
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  );

  await server.register(rateLimit, {
    global: false,
    errorResponseBuilder: (_request, { after }) =>
      httpError(429, `more than ${maxPerMinute} requests a minute from this source; again in ${after}`),
  });

  /** Everything that can be said before the body is read. */
  function admit(request: FastifyRequest<{ Params: Params }>, reply: FastifyReply): void {
    const { source } = request.params;
    const known = Object.hasOwn(sources, source);
    request.receivedAtMs = Date.now();
    inFlight += 1;
    metrics.begin();
    reply.raw.once('close', () => {
      inFlight -= 1;
      metrics.end(known ? source : 'unknown', (Date.now() - request.receivedAtMs) / 1_000);
    });
    if (!known) throw httpError(404, `there is no source "${source.slice(0, 60)}"`);
    if (inFlight > MAX_IN_FLIGHT) throw httpError(503, 'too many requests at once');
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') throw httpError(415, 'wanted a body without Content-Encoding');
  }

  server.post<{ Params: Params; Body: Buffer | undefined }>(
    '/alerts/:source',
    {
      onRequest: async (request, reply) => admit(request, reply),
      config: {
        rateLimit: { max: maxPerMinute, timeWindow: 60_000, keyGenerator: (request) => sourceOf(request) },
      },
    },
    async (request, reply) => {
      const { source } = request.params;
      const { status, body } = await receive({
        name: source,
        source: sources[source] as AlertSourceConfig,
        headers: joined(request.headers),
        body: request.body ?? Buffer.alloc(0),
        receivedAtMs: request.receivedAtMs,
      });
      if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
      return reply.code(status).send(body);
    },
  );

  server.get('/health/live', () => ({ status: 'ok' }));
  server.get('/health/ready', async (_request, reply) => {
    const why = await problem();
    if (why === undefined) return { status: 'ready' };
    return reply.code(503).send({ status: 'unavailable', problem: why });
  });
  server.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
  server.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ error: 'nothing is here; alerts go to POST /alerts/<source>' }),
  );
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500;
    const source = sourceOf(request);
    metrics.count(Object.hasOwn(sources, source) ? source : 'unknown', COUNTED[status] ?? 'bad');
    if (status === 503) reply.header('retry-after', RETRY_AFTER_SECONDS);
    if (status !== 500) return reply.code(status).send({ error: messageOf(error) });
    log('error', 'a request failed', { source, why: error.message, stack: error.stack });
    return reply.code(500).send({ error: 'failed; the log of the intake says why' });
  });
  return server;
}

function messageOf({ code, message }: FastifyError): string {
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return 'wanted Content-Type: application/json';
  return message;
}

function sourceOf(request: FastifyRequest): string {
  return (request.params as Partial<Params> | undefined)?.source ?? '';
}

function httpError(statusCode: number, message: string): Error & { statusCode: number } {
  return Object.assign(new Error(message), { statusCode });
}

function joined(headers: IncomingHttpHeaders): Headers {
  const pairs = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : value,
  ]);
  return Object.fromEntries(pairs) as Headers;
}
