import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import type { countAnswers } from './metrics';
import { findSlots } from './store';

interface Check {
  ok: boolean;
  latencyMs: number;
  error?: string;
}

/** Liveness, readiness, and what the operators of the service ask for. Everything is read at the moment it is asked. */
export function addHealth(
  server: FastifyInstance,
  pool: Pool,
  poolMax: number,
  answers: ReturnType<typeof countAnswers>,
): void {
  const startedAt = Date.now();
  server.get('/health', () => ({ status: 'ok' }));
  server.get('/health/lb', async (_request, reply) => {
    const database = await check(() => pool.query('SELECT 1'));
    return reply.code(database.ok ? 200 : 503).send({ status: database.ok ? 'ok' : 'unavailable' });
  });
  server.get('/health/ready', async (_request, reply) => {
    const checks = await readiness(pool);
    const ok = Object.values(checks).every((one) => one.ok);
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ready' : 'unavailable', checks });
  });
  server.get('/api/health/detailed', async (_request, reply) => {
    const checks = await readiness(pool);
    const ok = Object.values(checks).every((one) => one.ok);
    const lastRun = await pool
      .query<{ at: Date }>(`SELECT last_run_at AS at FROM job_runs WHERE job = 'expire_bookings'`)
      .then(({ rows }) => rows[0]?.at.toISOString() ?? null)
      .catch(() => null);
    return reply.code(ok ? 200 : 503).send({
      status: ok ? 'ok' : 'unavailable',
      checks: { ...checks, cron_expire_bookings_last_run_ts: lastRun },
      pool: { max: poolMax, total: pool.totalCount, idle: pool.idleCount, waiting: pool.waitingCount },
      answers: answers.read(),
      uptimeSeconds: Math.round((Date.now() - startedAt) / 1000),
      memoryBytes: process.memoryUsage().rss,
    });
  });
  server.get('/api/metrics/error-rate', () => answers.read());
  server.get('/api/database/connection-limit', async () => {
    const { rows } = await pool.query<{ limit: number; used: number }>(
      `SELECT current_setting('max_connections')::int AS limit, count(*)::int AS used
       FROM pg_stat_activity WHERE backend_type = 'client backend'`,
    );
    const { limit, used } = rows[0] ?? { limit: 0, used: 0 };
    return { limit, used, utilisation: limit === 0 ? 0 : used / limit, poolMax, poolUsed: pool.totalCount };
  });
}

/** The two things without which nothing can be sold. */
async function readiness(pool: Pool): Promise<Record<string, Check>> {
  const [database, availability] = await Promise.all([
    check(() => pool.query('SELECT 1')),
    check(() => findSlots(pool, 1, 1)),
  ]);
  return { database, availability };
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
