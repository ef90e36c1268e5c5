import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { recommend } from './features';
import { readConnections, readSlowQueries } from '../shared/connections';
import { readLastRun } from './cron';
import type { countAnswers } from '../shared/answers';
import type { AppPools } from '../shared/pools';
import type { Running } from './running';

interface Check {
  ok: boolean;
  latencyMs: number;
  error?: string;
}

/** Liveness, readiness, and what the operators of the service ask for. Everything is read at the moment it is asked. */
export function addHealth(
  server: FastifyInstance,
  pools: AppPools,
  answers: ReturnType<typeof countAnswers>,
  running: Running,
): void {
  server.get('/health', () => ({ status: 'ok' }));
  server.get('/health/lb', async (_request, reply) => {
    const database = await check(() => pools.current().query('SELECT 1'));
    return reply.code(database.ok ? 200 : 503).send({ status: database.ok ? 'ok' : 'unavailable' });
  });
  server.get('/health/ready', async (_request, reply) => {
    const checks = await readiness(pools.current(), running);
    const ok = Object.values(checks).every((one) => one.ok);
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ready' : 'unavailable', checks });
  });
  server.get('/api/health', async () => ({
    status: 'ok',
    // Fails without a database: "never ran" would be another word.
    checks: { cron_expire_bookings_last_run_ts: await readLastRun(pools.current()) },
  }));
  server.get('/api/health/detailed', async (_request, reply) => {
    const pool = pools.current();
    const checks = { ...(await readiness(pool, running)), ...(await featureChecks(pool, running)) };
    const ok = Object.values(checks).every((one) => one.ok);
    const lastRun = await readLastRun(pool).catch(() => null);
    return reply.code(ok ? 200 : 503).send({
      status: ok ? 'ok' : 'unavailable',
      release: running.version,
      checks: { ...checks, cron_expire_bookings_last_run_ts: lastRun },
      pool: { max: pools.max(), total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount },
      answers: answers.read(),
      uptimeSeconds: Math.round((Date.now() - running.since) / 1000),
      memoryBytes: process.memoryUsage().rss,
    });
  });
  server.get('/api/metrics/error-rate', () => answers.read());
  server.get('/api/rate-limit/status', () => {
    const { requests, refused, windowSeconds } = answers.read();
    const refusedShare = requests === 0 ? 0 : refused / requests;
    return { requestsPerSecond: running.switches.requestsPerSecond, refused, refusedShare, windowSeconds };
  });
  server.get('/api/database/connection-limit', async () => {
    const { busy, waiting } = pools.counts();
    const pool = { poolMax: pools.max(), poolUsed: busy, poolWaiting: waiting };
    // What the pool says is most wanted when the database says nothing.
    const found = await readConnections(pools.monitor).catch(() => undefined);
    if (found === undefined) return { limit: null, used: null, utilisation: null, ...pool };
    const { limit, used } = found;
    return { limit, used, utilisation: used / limit, ...pool };
  });
  server.get('/api/performance/queries/slow', async () => ({
    queries: await readSlowQueries(pools.monitor),
  }));
}

/** The two things without which nothing can be sold. */
async function readiness(pool: Pool, { release }: Running): Promise<Record<string, Check>> {
  const [database, availability] = await Promise.all([
    check(() => pool.query('SELECT 1')),
    check(async () => release.findSlots(pool, 1, 1)),
  ]);
  return { database, availability };
}

/** Every feature that is on, under its name. */
async function featureChecks(pool: Pool, { switches }: Running): Promise<Record<string, Check>> {
  return switches.recommendations ? { recommendations: await check(() => recommend(pool)) } : {};
}

async function check(probe: () => Promise<unknown>): Promise<Check> {
  const startedAt = performance.now();
  const latencyMs = (): number => Math.round(performance.now() - startedAt);
  try {
    await probe();
    return { ok: true, latencyMs: latencyMs() };
  } catch (error) {
    return { ok: false, latencyMs: latencyMs(), error: (error as Error).message };
  }
}
