import rateLimit from '@fastify/rate-limit';
import fastify, { type FastifyInstance } from 'fastify';
import { Registry } from 'prom-client';
import { countAnswers } from '../shared/answers';
import { followVersion } from '../shared/deployments';
import { createLoad } from '../shared/load';
import { createLog } from '../shared/log';
import { addCount, addGauge, addServiceMetrics } from '../shared/metrics';
import { openPools, type AppPools } from '../shared/pools';
import { addProcess } from '../shared/process';
import { readBackupStatus } from './backups';
import { createCache } from './cache';
import { startStatusPages } from './externals';
import { addOperators } from './operators';
import { book, cancel, findTimes, NEWEST_GOOD, readSummary, type EndedCall } from './store';
import { DEFAULT_SWITCHES, EXTERNALS, switches as state, type Switches } from './switches';
import { startCalls } from './calls';

export interface AssistantOptions {
  /** Of the role assistant_app: least privilege. */
  databaseUrl: string;
  /** Where deployments and switches are; the application follows them. */
  directory: string;
  /** Of operators. */
  apiKey: string;
}

export interface AssistantApp {
  url: string;
  /** Of the services of others. */
  statusUrl: string;
  stop: () => Promise<void>;
}

const WINDOW_SECONDS = 15;

/** Starts the assistant, the status pages of what it needs, and a few callers, on the loopback address. */
export async function startAssistant({
  databaseUrl,
  directory,
  apiKey,
}: AssistantOptions): Promise<AssistantApp> {
  const pools = openPools(databaseUrl, DEFAULT_SWITCHES.poolMax, 'assistant');
  let [version, now] = [NEWEST_GOOD, DEFAULT_SWITCHES];
  const switches = (): Switches => now;
  const load = createLoad(switches);
  const answers = countAnswers(WINDOW_SECONDS);
  const cache = createCache<string[]>(WINDOW_SECONDS, () => now.cacheTtlSeconds);
  const registers = [new Registry()];
  const server = fastify({ logger: false, forceCloseConnections: true, trustProxy: 'loopback' });
  server.addHook('onRequest', async (request, reply) => {
    if (now.blocked.includes(request.ip)) await reply.code(403).send({ error: 'blocked' });
  });
  const countForMetrics = addServiceMetrics(server, { service: 'assistant', pools, registers });
  const memoryLimitMegabytes = () => now.memoryLimitMegabytes;
  const use = { service: 'assistant', windowSeconds: WINDOW_SECONDS, memoryLimitMegabytes };
  const stopLooking = addProcess(server, use, registers);
  addOwnMetrics(registers, { pools, cache, directory, switches });
  const countPace = addOperators(server, {
    ...{ pools, cache, answers, directory, apiKey, switches },
    windowSeconds: WINDOW_SECONDS,
    version: () => version,
  });
  server.addHook('onResponse', async ({ url }, reply) => {
    if (!isBusiness(url)) return;
    const seconds = reply.elapsedTime / 1_000;
    answers.count(reply.statusCode);
    countForMetrics(reply.statusCode, seconds);
    countPace(seconds);
  });
  await server.register(rateLimit, {
    timeWindow: 1_000,
    max: () => now.requestsPerSecond,
    allowList: ({ url }, address) => !isBusiness(url) || Date.parse(now.exempt[address] ?? '') > Date.now(),
  });
  addBusiness(server, { pools, cache, load, switches, version: () => version, log: createLog(directory) });
  const status = await startStatusPages(switches);
  const url = await server.listen({ host: '127.0.0.1', port: 0 }).catch(async (error) => {
    await status.stop();
    throw error;
  });
  const stops = [
    followVersion(directory, (found) => (version = found)),
    state.follow(directory, (found) => {
      if (found.poolMax !== now.poolMax) pools.setMax(found.poolMax);
      if (found.restartedAt > now.restartedAt) {
        load.restart();
        void pools.restart();
      }
      now = found;
    }),
  ];
  const stopCalls = startCalls(url);
  return {
    url,
    statusUrl: status.url,
    stop: async () => {
      for (const stop of stops) stop();
      stopLooking();
      await load.stop();
      await stopCalls();
      await server.close();
      await status.stop();
      await pools.end();
    },
  };
}

/** Operators are no customers: they would thin the error rate out. */
function isBusiness(url: string): boolean {
  return url.startsWith('/availability') || url.startsWith('/webhooks') || url.startsWith('/bookings');
}

interface Business {
  pools: AppPools;
  cache: ReturnType<typeof createCache<string[]>>;
  load: ReturnType<typeof createLoad>;
  log: ReturnType<typeof createLog>;
  switches: () => Switches;
  version: () => string;
}

function addBusiness(
  server: FastifyInstance,
  { pools, cache, load, log, switches, version }: Business,
): void {
  server.setErrorHandler((error: Error & { statusCode?: number; code?: string }, request, reply) => {
    const conflict = error.code === '23505' ? 409 : 500;
    const status = error.statusCode ?? conflict;
    const { id: requestId, url: path } = request;
    if (status >= 500)
      log({ level: 'error', message: error.message, requestId, path, status, stack: error.stack });
    // What a database says about itself is not for callers.
    return reply.code(status).send({ error: status === 500 ? 'internal error' : error.message });
  });
  server.get<{ Querystring: { client: string } }>(
    '/availability',
    {
      schema: {
        querystring: { type: 'object', required: ['client'], properties: { client: DIGITS } },
      },
    },
    async ({ query: { client } }) => {
      const { statementSeconds, summaries } = switches();
      const pool = pools.current();
      const times = await cache.read(client, () =>
        findTimes(pool, client, { version: version(), statementSeconds }),
      );
      await load.carry();
      if (summaries) await readSummary(pool);
      return { times };
    },
  );
  server.post<{ Body: EndedCall }>('/webhooks/vapi', { schema: { body: CALL } }, async ({ body }, reply) =>
    reply.code(201).send(await book(pools.current(), body, switches())),
  );
  server.post<{ Params: { id: string } }>('/bookings/:id/cancel', async ({ params }) => {
    await cancel(pools.current(), params.id);
    return { cancelled: params.id };
  });
}

const DIGITS = { type: 'string', pattern: '^[0-9]{1,18}$' };
const CALL = {
  type: 'object',
  required: ['callId', 'client', 'caller', 'startsAt'],
  properties: {
    callId: { type: 'string', minLength: 8, maxLength: 100 },
    client: DIGITS,
    caller: DIGITS,
    startsAt: { type: 'string', format: 'date-time' },
  },
};

function addOwnMetrics(
  registers: Registry[],
  parts: {
    pools: AppPools;
    cache: ReturnType<typeof createCache<string[]>>;
    directory: string;
    switches: () => Switches;
  },
): void {
  const { pools, cache, directory, switches } = parts;
  const gauge = (name: string, help: string, read: () => number | null): void =>
    addGauge(registers, { name: `assistant_${name}`, help }, read);
  gauge('cache_hit_rate', 'Share of the reads that the cache answered.', () => cache.stats().hitRate);
  gauge('memory_limit_bytes', 'Above it the platform ends it.', () => switches().memoryLimitMegabytes * 1e6);
  gauge('backup_age_seconds', 'Since the last backup.', () => readBackupStatus(directory).ageHours * 3_600);
  gauge(
    'externals_down',
    'Services of others that do not answer.',
    () => EXTERNALS.filter((name) => switches().down.includes(name)).length,
  );
  addCount(
    { service: 'assistant', pools, registers },
    {
      name: 'bookings_without_message',
      help: 'Confirmed bookings whose caller was told nothing.',
      sql: `SELECT count(*)::int AS count FROM bookings WHERE status = 'confirmed'
              AND NOT EXISTS (SELECT FROM messages WHERE booking_id = bookings.id)`,
    },
  );
}
