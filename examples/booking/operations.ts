import type { FastifyInstance } from 'fastify';
import type { AppPools } from '../shared/pools';
import { requireBearer } from '../shared/secrets';

const POOL_LIMIT = 200;

/** What operators may do to the running application, for whoever has the token. The server listens on loopback only. */
export function addOperations(
  server: FastifyInstance,
  pools: AppPools,
  { token, restarted }: { token: string; restarted: () => void },
): void {
  void server.register(
    async (operations) => {
      operations.addHook('onRequest', requireBearer(token));
      operations.put<{ Body: { max: number } }>(
        '/pool',
        { schema: { body: poolBody } },
        async ({ body: { max } }) => {
          pools.setMax(max);
          return { done: `the pool has at most ${max} connections` };
        },
      );
      operations.post('/restart', async () => {
        await pools.restart();
        restarted();
        return { done: `restarted with a pool of at most ${pools.max()} connections` };
      });
    },
    { prefix: '/operations' },
  );
}

const poolBody = {
  type: 'object',
  required: ['max'],
  properties: { max: { type: 'integer', minimum: 1, maximum: POOL_LIMIT } },
};
