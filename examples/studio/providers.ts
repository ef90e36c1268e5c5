/**
 * Who the studio depends on, on the loopback address: two providers of models and the status pages of all. What they are at
 * is changed over HTTP, by trouble.ts.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import fastify, { type FastifyReply } from 'fastify';
import { sameText } from '../shared/secrets';
import { PROVIDERS, type Provider } from './switches';

export const MOODS = ['well', 'down', 'limited', 'slow'] as const;
export type Mood = (typeof MOODS)[number];

export interface Providers {
  url: string;
  stop(): Promise<void>;
}

const SLOW_MS = 60_000;

/** Starts them, each well. `key` is what both of them and whoever changes them want to see. */
export async function startProviders(key: string): Promise<Providers> {
  const server = fastify({ logger: false, forceCloseConnections: true });
  const moods: Record<Provider, Mood> = { openai: 'well', anthropic: 'well' };
  const ended = new AbortController();
  const asks = (given: unknown): boolean => sameText(String(given).replace('Bearer ', ''), key);

  /** True where it may answer now. */
  const isWell = async (provider: Provider, given: unknown, reply: FastifyReply): Promise<boolean> => {
    const refuse = (status: number, type: string): false => {
      void reply.code(status).send({ error: { type, message: `${provider}: ${type}` } });
      return false;
    };
    if (!asks(given)) return refuse(401, 'authentication_error');
    if (moods[provider] === 'down') return refuse(503, 'overloaded_error');
    if (moods[provider] === 'limited') {
      reply.header('retry-after', '5');
      return refuse(429, 'rate_limit_error');
    }
    if (moods[provider] === 'slow')
      await sleep(SLOW_MS, undefined, { signal: ended.signal }).catch(() => undefined);
    return true;
  };
  server.post('/openai/v1/chat/completions', async ({ headers }, reply) => {
    if (!(await isWell('openai', headers.authorization, reply))) return reply;
    return { choices: [{ message: { role: 'assistant', content: 'And then it rained.' } }] };
  });
  server.post('/anthropic/v1/messages', async ({ headers }, reply) => {
    if (!(await isWell('anthropic', headers['x-api-key'], reply))) return reply;
    return { content: [{ type: 'text', text: 'And then the sun came out.' }] };
  });
  /** As status pages of Statuspage have it. Those that nothing happens to here are always well. */
  server.get<{ Params: { name: string } }>('/status/:name', ({ params }) => {
    const provider = PROVIDERS.find((name) => name === params.name);
    const isUp = provider === undefined || moods[provider] !== 'down';
    return {
      status: isUp
        ? { indicator: 'none', description: 'All Systems Operational' }
        : { indicator: 'major', description: 'Major Outage' },
    };
  });
  server.put<{ Params: { name: Provider; mood: Mood } }>(
    '/moods/:name/:mood',
    {
      schema: {
        params: { type: 'object', properties: { name: { enum: PROVIDERS }, mood: { enum: MOODS } } },
      },
    },
    async ({ params, headers }, reply) => {
      if (!asks(headers.authorization)) return reply.code(401).send();
      moods[params.name] = params.mood;
      return moods;
    },
  );
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    stop: () => {
      ended.abort();
      return server.close();
    },
  };
}
