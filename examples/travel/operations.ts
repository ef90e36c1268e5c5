/** For operators and their runbooks alone: numbers, rate limits, and payments that are applied again. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { look, REDIS_MEMORY_LIMIT, type Parts } from './health';
import type { Limiter } from './limiter';
import type { Payments } from './payments';
import type { Recent } from './recent';
import { Refusal } from './store';
import type { Switches } from './switches';

export function addOperations(
  app: FastifyInstance,
  options: {
    isOperator: (request: FastifyRequest) => boolean;
    parts: Parts;
    payments: Payments;
    limiter: Limiter;
    answers: Recent;
    switches: () => Switches;
  },
): void {
  const { parts, payments, limiter, answers, switches } = options;
  void app.register(
    (server, _, done) => {
      server.addHook('onRequest', async (request) => {
        if (!options.isOperator(request)) throw new Refusal(401, 'the token of the operators is needed');
      });
      server.get('/measures', async () => {
        const { database, redisMemoryBytes, searchUp, queues } = await look(parts);
        const worst = (field: 'oldestSeconds' | 'failedShare', isSearch: boolean): number | null => {
          const of = queues.filter(({ name }) => (name === 'search-indexing') === isSearch);
          return of.length === 0 ? null : Math.max(...of.map((one) => one[field]));
        };
        return {
          ...answers.read(),
          queueDelaySeconds: worst('oldestSeconds', false),
          queueFailedShare: worst('failedShare', false),
          searchLagSeconds: worst('oldestSeconds', true),
          searchUp: searchUp ? 1 : 0,
          redisMemoryShare: redisMemoryBytes === undefined ? null : redisMemoryBytes / REDIS_MEMORY_LIMIT,
          holdExpiryLastRunAt: parts.queues.lastExpiry(),
          database: database ?? null,
        };
      });
      server.get('/rate-limit', async () => {
        const { refusedShare } = answers.read();
        const [blocked, keys] = await Promise.all([limiter.refused(), limiter.keys()]);
        return { refusedShare, requestsPerTenSeconds: Number(switches().limit), blocked, keys };
      });
      type Who = { Params: { who: string }; Body: { until: string } };
      server.put<Who>('/rate-limit/exempt/:who', async ({ params, body }, reply) => {
        await limiter.exempt(params.who, body.until);
        return reply.code(204).send();
      });
      server.delete<Who>('/rate-limit/exempt/:who', async ({ params }, reply) => {
        await limiter.usual(params.who);
        return reply.code(204).send();
      });
      server.post<{ Params: { id: string } }>('/webhook-events/:id/replay', async ({ params }) => {
        await payments.replay(params.id);
        return {};
      });
      done();
    },
    { prefix: '/operations' },
  );
}
