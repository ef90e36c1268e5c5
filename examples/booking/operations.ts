import type { FastifyInstance } from 'fastify';
import { sameText } from './cron';
import type { AppPools } from './pools';

const POOL_LIMIT = 200;

/** What operators may do to the running application, for whoever has the token. The server listens on loopback only. */
export function addOperations(
  server: FastifyInstance,
  pools: AppPools,
  { token, restarted }: { token: string; restarted: () => void },
): void {
  void server.register(
    async (operations) => {
      operations.addHook('onRequest', async (request, reply) => {
        if (!sameText(request.headers.authorization ?? '', `Bearer ${token}`))
          await reply.code(401).send({ error: 'a bearer token is needed' });
      });
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
