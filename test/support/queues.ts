/** Queues of an application under test, its workers, and where each of its jobs is. */
import { Queue, Worker, type Job } from 'bullmq';
import { until } from './postgres';
import type { TestRedis } from './redis';

export interface TestQueues {
  prefix: string;
  queue(name: string): Queue;
  /** Works on a queue; what `work` throws fails the job. */
  worker(name: string, work: (job: Job) => Promise<unknown>, concurrency?: number): Worker;
  /** Adds jobs called 0, 1 and so on, with one attempt each. */
  add(name: string, count: number, options?: { prefix?: string; data?: object }): Promise<string[]>;
  /** Adds jobs and has them fail with that reason. */
  fail(name: string, count: number, reason: string, prefix?: string): Promise<string[]>;
  /** Every job of a queue by its ID, sorted, as `id state`: one that is in two states is there twice. */
  census(name: string): Promise<string[]>;
  stop(): Promise<void>;
}

const STATES = ['wait', 'active', 'delayed', 'prioritized', 'failed', 'completed'] as const;

export function testQueues({ port, client }: TestRedis, prefix: string): TestQueues {
  const connection = {
    host: '127.0.0.1',
    port,
    password: client.options.password,
    maxRetriesPerRequest: null,
    retryStrategy: () => 20,
  };
  const queues = new Map<string, Queue>();
  const workers: Worker[] = [];
  const queue = (name: string): Queue => {
    const known = queues.get(name);
    if (known !== undefined) return known;
    const made = new Queue(name, { connection, prefix });
    made.on('error', () => undefined);
    queues.set(name, made);
    return made;
  };
  const worker: TestQueues['worker'] = (name, work, concurrency = 5) => {
    const made = new Worker(name, work, { connection, prefix, concurrency, stalledInterval: 1_000 });
    made.on('error', () => undefined);
    workers.push(made);
    return made;
  };
  const add: TestQueues['add'] = async (name, count, { prefix: ids = 'job', data = {} } = {}) => {
    const jobs = Array.from({ length: count }, (_, index) => ({
      name: 'do',
      data,
      opts: { jobId: `${ids}-${index}` },
    }));
    await queue(name).addBulk(jobs);
    return jobs.map(({ opts }) => opts.jobId);
  };
  return {
    prefix,
    queue,
    worker,
    add,
    fail: async (name, count, reason, ids = 'failed') => {
      const added = await add(name, count, { prefix: ids });
      const failing = worker(name, () => Promise.reject(new Error(reason)), 50);
      await until(
        async () => (await queue(name).getFailedCount()) >= count && (await queue(name).count()) === 0,
      );
      await failing.close();
      return added;
    },
    census: async (name) => {
      const base = `${prefix}:${name}`;
      const ids = await Promise.all(
        STATES.map(async (state) => {
          const isList = state === 'wait' || state === 'active';
          const found = await (isList
            ? client.lrange(`${base}:${state}`, 0, -1)
            : client.zrange(`${base}:${state}`, 0, -1));
          return found.map((id) => `${id} ${state}`);
        }),
      );
      return ids.flat().sort();
    },
    stop: async () => {
      await Promise.all(workers.map((one) => one.close(true).catch(() => undefined)));
      await Promise.all([...queues.values()].map((one) => one.close().catch(() => undefined)));
    },
  };
}
