import type { FastifyInstance } from 'fastify';
import type { countAnswers } from '../shared/answers';
import { addConnectionEndpoints, check, type Check } from '../shared/health';
import type { AppPools } from '../shared/pools';
import { keepRecent, quantileOf } from '../shared/recent';
import { sameText } from '../shared/secrets';
import { readBackupStatus } from './backups';
import type { createCache } from './cache';
import { findTimes, readSummary, recommend } from './store';
import { EXTERNALS, type Switches } from './switches';

export interface Operated {
  pools: AppPools;
  cache: ReturnType<typeof createCache<string[]>>;
  answers: ReturnType<typeof countAnswers>;
  windowSeconds: number;
  directory: string;
  apiKey: string;
  version: () => string;
  switches: () => Switches;
}

/** What operators ask the assistant: load balancers without a key, everybody else with X-API-Key. Returns how to count an answer. */
export function addOperators(server: FastifyInstance, operated: Operated): (seconds: number) => void {
  const { pools, cache, answers, windowSeconds, directory, apiKey, switches } = operated;
  const paces = keepRecent<number>(windowSeconds);
  server.addHook('onRequest', async ({ url, headers }, reply) => {
    if (url.startsWith('/api/') && !sameText(String(headers['x-api-key'] ?? ''), apiKey))
      await reply.code(401).send({ error: 'the header X-API-Key is needed' });
  });
  server.get('/health', () => ({ status: 'ok' }));
  server.get('/health/lb', async (_request, reply) => {
    const checks = await readiness(operated);
    const ok = Object.values(checks).every((one) => one.ok);
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'unavailable' });
  });
  server.get('/api/health/detailed', async (_request, reply) => {
    const checks: Record<string, Check> = await readiness(operated);
    if (switches().summaries) checks['summaries'] = await check(() => readSummary(pools.current()));
    const ok = Object.values(checks).every((one) => one.ok);
    return reply.code(ok ? 200 : 503).send({
      status: ok ? 'ok' : 'unavailable',
      release: operated.version(),
      checks,
      externals: Object.fromEntries(EXTERNALS.map((name) => [name, { ok: !switches().down.includes(name) }])),
      pool: { max: pools.max(), ...pools.counts() },
      answers: answers.read(),
      memoryBytes: process.memoryUsage.rss(),
    });
  });
  addConnectionEndpoints(server, pools);
  server.get('/api/performance/queries/stats', () => ({
    queries: [{ name: 'free times', ...cache.loads() }],
    latency: { p95Seconds: quantileOf(paces.read(), 0.95), p99Seconds: quantileOf(paces.read(), 0.99) },
    windowSeconds,
  }));
  server.get('/api/performance/queries/recommendations', async () => ({
    recommendations: await recommend(pools.monitor),
  }));
  server.get('/api/cache/stats', () => cache.stats());
  server.get('/api/metrics/error-rate', () => answers.read());
  server.get('/api/rate-limit/status', () => {
    const { requests, refused } = answers.read();
    const refusedShare = requests === 0 ? 0 : refused / requests;
    return { requestsPerSecond: switches().requestsPerSecond, refused, refusedShare, windowSeconds };
  });
  server.get('/api/backup-status', () => readBackupStatus(directory));
  return paces.add;
}

/** Without these nothing can be booked. */
async function readiness({ pools, version }: Operated) {
  const pool = pools.current();
  const [database, availability] = await Promise.all([
    check(() => pool.query('SELECT 1')),
    check(() => findTimes(pool, '1', { version: version(), statementSeconds: 0 })),
  ]);
  return { database, availability };
}
