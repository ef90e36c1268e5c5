import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { fetch } from 'undici';
import type { AppPools } from '../shared/pools';
import { sameText } from '../shared/secrets';
import type { Running } from './running';

const PATH = '/api/cron/expire-bookings';

/** The endpoint of the job that ends holds past their expiry, for whoever has its secret. */
export function addCron(server: FastifyInstance, pools: AppPools, running: Running, secret: string): void {
  server.post(PATH, async (request, reply) => {
    const { authorization = '', 'x-cron-secret': given = '' } = request.headers;
    const known = sameText(authorization, `Bearer ${secret}`) || sameText(String(given), secret);
    if (!known) return reply.code(401).send({ error: 'the secret of the scheduler is needed' });
    // As after a refactoring that nobody tested: it answers, and that is all.
    if (!running.switches.expiryWorks) return { processed: 0 };
    return { processed: await expireHolds(pools.current()) };
  });
}

/** Plays the platform: calls the endpoint again and again, for as long as it has a schedule. Returns how to stop it. */
export function startScheduler(
  url: string,
  { running, secret, everyMs }: { running: Running; secret: string; everyMs: number },
): () => void {
  const call = (): void => {
    if (running.switches.cronSchedule === '') return;
    const headers = { authorization: `Bearer ${secret}` };
    // Nobody hears of a failed call: the age of the last run tells.
    void fetch(`${url}${PATH}`, { method: 'POST', headers }).then(
      (answer) => answer.arrayBuffer(),
      () => undefined,
    );
  };
  const timer = setInterval(call, everyMs);
  return () => clearInterval(timer);
}

async function expireHolds(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ processed: number }>('SELECT expire_held_bookings() AS processed');
  await pool.query('DELETE FROM idempotency_keys WHERE expires_at < now()');
  return rows[0]!.processed;
}

/** ISO time of the last run; null where it never ran. */
export async function readLastRun(pool: Pool): Promise<string | null> {
  const { rows } = await pool.query<{ at: Date }>(
    `SELECT last_run_at AS at FROM job_runs WHERE job = 'expire_bookings'`,
  );
  return rows[0]?.at.toISOString() ?? null;
}
