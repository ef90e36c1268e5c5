import type { FastifyInstance } from 'fastify';
import { readConnections, readSlowQueries } from './connections';
import type { AppPools } from './pools';

export interface Check {
  ok: boolean;
  latencyMs: number;
  error?: string;
}

export async function check(probe: () => Promise<unknown>): Promise<Check> {
  const startedAt = performance.now();
  const latencyMs = (): number => Math.round(performance.now() - startedAt);
  try {
    await probe();
    return { ok: true, latencyMs: latencyMs() };
  } catch (error) {
    return { ok: false, latencyMs: latencyMs(), error: (error as Error).message };
  }
}

/** What operators ask about the connections; answered also when the pool is exhausted. */
export function addConnectionEndpoints(server: FastifyInstance, pools: AppPools): void {
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
