/** What people have a model write: a queue of BullMQ, a worker, two providers of which one is asked. */
import { Queue, Worker, type Job } from 'bullmq';
import type { FastifyInstance } from 'fastify';
import type { Pool } from 'pg';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { Provider, Switches } from './switches';

export const QUEUE = 'generations';
export const PREFIX = 'studio';
const AT_ONCE = 4;

export interface ProviderAccess {
  /** Base address and key, by provider. */
  providers: Record<Provider, { url: string; key: string }>;
  /** How long one answer may take. */
  timeoutMs: number;
}

interface Task {
  generation: string;
  prompt: string;
}

/** Adds the endpoints, and starts the worker. Returns how to stop it. */
export function addGenerations(
  server: FastifyInstance,
  pool: Pool,
  options: ProviderAccess & { redisUrl: string; switches: () => Switches },
  registers: Registry[],
): () => Promise<void> {
  const connection = { url: options.redisUrl, maxRetriesPerRequest: null };
  const queue = new Queue<Task>(QUEUE, { connection, prefix: PREFIX });
  const ended = new Counter({
    name: 'studio_generations_total',
    help: 'Generations that ended, by their result.',
    labelNames: ['result'],
    registers,
  });
  for (const result of ['done', 'failed']) ended.inc({ result }, 0);
  const worker = new Worker<Task>(
    QUEUE,
    async ({ data }) => {
      const { provider } = options.switches();
      const result = await generate(provider, data.prompt, options);
      await pool.query(
        `UPDATE generations SET status = 'done', provider = $2, result = $3, error = NULL, finished_at = now() WHERE id = $1`,
        [data.generation, provider, result],
      );
    },
    { connection, prefix: PREFIX, concurrency: AT_ONCE },
  );
  worker.on('completed', () => ended.inc({ result: 'done' }));
  worker.on('failed', (job, error) => {
    ended.inc({ result: 'failed' });
    void noteFailure(pool, job, error).catch(() => undefined);
  });
  // Redis that is away for a moment ends nothing.
  queue.on('error', () => undefined);
  worker.on('error', () => undefined);
  // Operators may have fewer asked at once.
  const pace = setInterval(() => (worker.concurrency = options.switches().slower ? 1 : AT_ONCE), 500);
  pace.unref();
  new Gauge({
    name: 'studio_generations_oldest_waiting_seconds',
    help: 'How long the oldest generation has waited; no sample while Redis is away.',
    registers,
    async collect() {
      const oldest = await queue.getWaiting(0, 0).catch(() => undefined);
      if (oldest === undefined) return this.remove();
      this.set(oldest[0] === undefined ? 0 : (Date.now() - oldest[0].timestamp) / 1_000);
    },
  });

  server.post<{ Body: { document: string; prompt: string } }>(
    '/api/ai/generate',
    { schema: { body: GENERATE } },
    async ({ body: { document, prompt } }, reply) => {
      const { rows } = await pool.query<{ id: string }>(
        'INSERT INTO generations (document_id, prompt) VALUES ($1, $2) RETURNING id',
        [document, prompt],
      );
      const { id } = rows[0]!;
      await queue.add(
        'generate',
        { generation: id, prompt },
        { jobId: id, removeOnComplete: { count: 1_000 } },
      );
      return reply.code(202).send({ id, status: 'queued' });
    },
  );
  server.get<{ Params: { id: string } }>('/api/ai/generations/:id', async ({ params }, reply) => {
    const { rows } = await pool.query(
      'SELECT id, status, provider, result, error FROM generations WHERE id = $1',
      [params.id],
    );
    return rows[0] ?? reply.code(404).send({ error: 'no such generation' });
  });
  return async () => {
    clearInterval(pace);
    await worker.close();
    await queue.close();
  };
}

const GENERATE = {
  type: 'object',
  required: ['document', 'prompt'],
  properties: {
    document: { type: 'string', format: 'uuid' },
    prompt: { type: 'string', minLength: 1, maxLength: 4_000 },
  },
};

async function noteFailure(pool: Pool, job: Job<Task> | undefined, { message }: Error): Promise<void> {
  if (job === undefined) return;
  await pool.query(
    `UPDATE generations SET status = 'failed', error = $2, finished_at = now() WHERE id = $1 AND status <> 'done'`,
    [job.data.generation, message.slice(0, 300)],
  );
}

/** Asks as each provider wants it. What it answers is in the error: its status first, as clients word it. */
async function generate(
  provider: Provider,
  prompt: string,
  { providers, timeoutMs }: ProviderAccess,
): Promise<string> {
  const { url, key } = providers[provider];
  const messages = [{ role: 'user', content: prompt }];
  const [path, headers, body] =
    provider === 'openai'
      ? ['/v1/chat/completions', { authorization: `Bearer ${key}` }, { model: 'gpt-4o-mini', messages }]
      : [
          '/v1/messages',
          { 'x-api-key': key, 'anthropic-version': '2023-06-01' },
          { model: 'claude-3-5-haiku-latest', max_tokens: 1_000, messages },
        ];
  const answer = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  }).catch((error: Error) => {
    if (error.name === 'TimeoutError') throw new Error(`Request timed out: ${provider} has not answered`);
    throw new Error(`Connection error: ${provider} is unreachable`);
  });
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`.slice(0, 300));
  const json = (await answer.json()) as {
    choices?: { message: { content: string } }[];
    content?: { text: string }[];
  };
  const text = json.choices?.[0]?.message.content ?? json.content?.[0]?.text;
  if (text === undefined) throw new Error(`${provider} answered without a text`);
  return text;
}
