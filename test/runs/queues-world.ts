import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startMeilisearch, type Meilisearch } from '../../examples/simulators/meilisearch';
import { testQueues, type TestQueues } from '../support/queues';
import { startRedis, type TestRedis } from '../support/redis';
import { configure, startDriver, type Driver, type Ended } from './harness';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

/** An application whose queues, prefix and index are called otherwise than anybody would guess. */
export interface QueuesWorld {
  driver: Driver;
  redis: TestRedis;
  search: Meilisearch;
  queues: TestQueues;
  worker: WorkerProcess;
  /** There while more workers are started. */
  isScaled: () => boolean;
  /** The smoke test fails while it is there. */
  fails: string;
  restartWorker(settings?: Record<string, unknown>): Promise<void>;
  /** Empties Redis, and makes each queue known again. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export const NAMES = ['web_orders', 'web_mails', 'web_index'];

export async function startQueuesWorld(): Promise<QueuesWorld> {
  const driver = await startDriver(400, false);
  const redis = await startRedis('pass-of-the-queues');
  const search = await startMeilisearch();
  process.env['QUEUES_RUN_REDIS'] = redis.url;
  process.env['QUEUES_RUN_SEARCH_KEY'] = search.apiKey;
  const [scaled, fails] = ['scaled', 'fails'].map((name) => join(driver.stack.directory, name)) as [
    string,
    string,
  ];
  configure(driver, {
    'environments.production.queues': {
      redis: { url: '${env:QUEUES_RUN_REDIS}' },
      prefix: 'acme-jobs',
      names: [
        { name: 'web_orders', maxDelaySeconds: 2 },
        { name: 'web_mails', maxDelaySeconds: 60, critical: false },
        { name: 'web_index', maxDelaySeconds: 2 },
      ],
      workers: {
        scale: { command: { run: ['touch', scaled] } },
        restore: { command: { run: ['rm', '-f', scaled] } },
      },
      windowSeconds: 3,
      patienceSeconds: 15,
      trialJobs: 2,
    },
    'environments.production.search': {
      queue: 'web_index',
      url: search.url,
      apiKey: '${env:QUEUES_RUN_SEARCH_KEY}',
      maxLagSeconds: 2,
    },
    'environments.production.smoke': { run: ['sh', '-c', `test ! -e ${fails}`] },
  });
  const world: QueuesWorld = {
    driver,
    redis,
    search,
    queues: testQueues(redis, 'acme-jobs'),
    worker: await startWorkerProcess(driver.stack.configFile),
    isScaled: () => existsSync(scaled),
    fails,
    restartWorker: async (settings = {}) => {
      await world.worker.kill();
      configure(driver, settings);
      world.worker = await startWorkerProcess(driver.stack.configFile);
    },
    reset: async () => {
      await world.queues.stop();
      await redis.client.flushall();
      [scaled, fails].forEach((file) => rmSync(file, { force: true }));
      world.queues = testQueues(redis, 'acme-jobs');
      for (const name of NAMES) await world.queues.queue(name).resume();
    },
    stop: async () => {
      await world.worker.stop();
      await world.queues.stop();
      await Promise.all([redis.stop(), search.stop()]);
      await driver.stack.stop();
    },
  };
  return world;
}

export const said = ({ report }: Ended, title: string) =>
  report.timeline.find((entry) => entry.title === title)?.detail;
