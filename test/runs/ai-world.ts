import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Job } from 'bullmq';
import { startAiProvider, type AiProvider } from '../simulators/ai-provider';
import { testQueues, type TestQueues } from '../support/queues';
import { startRedis, type TestRedis } from '../support/redis';
import { configure, startDriver, type Driver } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

/** An application whose workers really ask providers for texts; which one, and how often, stands in files. */
export interface AiWorld {
  driver: Driver;
  redis: TestRedis;
  openai: AiProvider;
  anthropic: AiProvider;
  queues: TestQueues;
  worker: WorkerProcess;
  /** The provider in use. */
  provider(): string;
  isSlow(): boolean;
  /** The smoke test fails while it is there. */
  fails: string;
  /** Starts workers that generate. */
  generate(queue?: string, concurrency?: number): void;
  /** Trial calls at both. */
  trials(): number;
  restartWorker(settings?: Record<string, unknown>): Promise<void>;
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export const TEXTS = 'web_texts';
const KEYS = { openai: 'sk-key-of-the-openai-run', anthropic: 'sk-ant-key-of-the-run' };
/** Of a provider that hangs; any other one has as long as a busy machine needs. */
const TIMEOUT_MS = 400;
const PATIENCE_MS = 60_000;
const SLOW_MS = 300;
const PING = 'ping';

export async function startAiWorld(): Promise<AiWorld> {
  const driver = await startDriver(400, false);
  const redis = await startRedis('pass-of-the-texts');
  const openai = await startAiProvider('openai', { key: KEYS.openai });
  const anthropic = await startAiProvider('anthropic', { key: KEYS.anthropic });
  process.env['AI_RUN_REDIS'] = redis.url;
  const [provider, slow, fails] = ['provider', 'slow', 'fails'].map((name) =>
    join(driver.stack.directory, name),
  ) as [string, string, string];
  const setKeys = () => {
    process.env['AI_RUN_OPENAI'] = openai.key = KEYS.openai;
    process.env['AI_RUN_ANTHROPIC'] = anthropic.key = KEYS.anthropic;
  };
  setKeys();
  configure(driver, {
    'environments.production.queues': queuesOf('acme-jobs', TEXTS),
    'environments.production.aiWorkers': aiWorkersOf({ openai, anthropic, provider, slow }),
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${fails}`] },
  });
  const ask = async (job: Job): Promise<string> => {
    const name = readFileSync(provider, 'utf8');
    if (existsSync(slow)) await new Promise((resolve) => setTimeout(resolve, SLOW_MS));
    const prompt = String((job.data as { prompt?: string }).prompt ?? job.id);
    return name === 'anthropic' || name === 'spare'
      ? askAnthropic(anthropic, prompt)
      : askOpenai(openai, prompt);
  };
  const world: AiWorld = {
    ...{ driver, redis, openai, anthropic, fails },
    queues: testQueues(redis, 'acme-jobs'),
    worker: await startWorkerProcess(driver.stack.configFile),
    provider: () => readFileSync(provider, 'utf8'),
    isSlow: () => existsSync(slow),
    generate: (queue = TEXTS, concurrency = 5) => void world.queues.worker(queue, ask, concurrency),
    trials: () =>
      [openai, anthropic].flatMap(({ asked }) => asked).filter((one) => one.prompt === PING).length,
    restartWorker: async (settings = {}) => {
      await world.worker.kill();
      configure(driver, settings);
      world.worker = await startWorkerProcess(driver.stack.configFile);
    },
    reset: async () => {
      await world.queues.stop();
      await redis.client.flushall();
      [slow, fails].forEach((file) => rmSync(file, { force: true }));
      writeFileSync(provider, 'openai');
      for (const one of [openai, anthropic]) {
        one.letGo();
        Object.assign(one, { mood: 'well', indicator: 'none', limit: Infinity, limitMs: 60_000 });
        one.forget();
      }
      setKeys();
      world.queues = testQueues(redis, 'acme-jobs');
      await world.queues.queue(TEXTS).resume();
    },
    stop: async () => {
      await world.worker.stop();
      await world.queues.stop();
      await Promise.all([redis.stop(), openai.stop(), anthropic.stop()]);
      await driver.stack.stop();
    },
  };
  return world;
}

export const queuesOf = (prefix: string, name: string) => ({
  redis: { url: '${env:AI_RUN_REDIS}' },
  prefix,
  names: [{ name, maxDelaySeconds: 120 }],
  windowSeconds: 2,
  patienceSeconds: 30,
  trialJobs: 2,
});

interface Using {
  openai: AiProvider;
  anthropic: AiProvider;
  /** Files of the application. */
  provider: string;
  slow: string;
  names?: [string, string];
  queue?: string;
}

export function aiWorkersOf({ openai, anthropic, provider, slow, names, queue = TEXTS }: Using) {
  const [first, second] = names ?? ['openai', 'anthropic'];
  const body = { model: 'small', max_tokens: 1, messages: [{ role: 'user', content: PING }] };
  return {
    queue,
    providers: [
      {
        name: first,
        status: { url: `${openai.url}/api/v2/status.json` },
        trial: {
          method: 'POST',
          url: `${openai.url}/v1/chat/completions`,
          auth: { kind: 'bearer', token: '${env:AI_RUN_OPENAI}' },
          body,
          success: { field: 'choices' },
        },
        contact: 'help.openai.example',
      },
      {
        name: second,
        status: { url: `${anthropic.url}/api/v2/summary.json`, components: ['API'] },
        trial: {
          method: 'POST',
          url: `${anthropic.url}/v1/messages`,
          headers: { 'anthropic-version': '2023-06-01' },
          auth: { kind: 'header', name: 'x-api-key', value: '${env:AI_RUN_ANTHROPIC}' },
          body,
          success: { field: 'content' },
        },
      },
    ],
    current: { command: { run: ['cat', provider] } },
    switch: { change: { command: { run: ['sh', '-c', `printf %s "$PROVIDER" > ${provider}`] } } },
    slower: {
      apply: { command: { run: ['touch', slow] } },
      restore: { command: { run: ['rm', '-f', slow] } },
    },
    leaveAloneSeconds: 1,
    waitMinutes: 0.5,
    settleSeconds: 2,
  };
}

/** As the clients of both word what goes wrong. */
async function send(
  { url, mood }: AiProvider,
  path: string,
  headers: Record<string, string>,
  prompt: string,
): Promise<string> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'small', max_tokens: 100, messages: [{ role: 'user', content: prompt }] }),
    signal: AbortSignal.timeout(mood === 'hangs' ? TIMEOUT_MS : PATIENCE_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} ${text}`);
  return text;
}

const askOpenai = (at: AiProvider, prompt: string) =>
  send(at, '/v1/chat/completions', { authorization: `Bearer ${process.env['AI_RUN_OPENAI']}` }, prompt);

const askAnthropic = (at: AiProvider, prompt: string) =>
  send(
    at,
    '/v1/messages',
    { 'x-api-key': process.env['AI_RUN_ANTHROPIC'] ?? '', 'anthropic-version': '2023-06-01' },
    prompt,
  );
