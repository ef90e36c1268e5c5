/** The queues of BullMQ and their workers, in the process of the application. */
import { Queue, UnrecoverableError, Worker, type Job } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'bullmq';
import type { Meilisearch } from 'meilisearch';
import { expireHolds } from './bookings';
import type { Store } from './store';
import type { Switches } from './switches';

export const QUEUES = ['bookings', 'notifications', 'search-indexing'] as const;
export type QueueName = (typeof QUEUES)[number];

const EXPIRE_EVERY_MS = 5_000;
const KEPT_JOBS = 1_000;
const SLOW_MAIL_MS = 5_000;

export interface QueueState {
  name: QueueName;
  waiting: number;
  failed: number;
  /** Since when the oldest job waits that should be done by now; a retry counts from its first attempt. */
  oldestSeconds: number;
  /** Of the jobs that Redis still knows to have ended. */
  failedShare: number;
}

export type Queues = Awaited<ReturnType<typeof startQueues>>;

export async function startQueues(options: {
  redisUrl: string;
  store: Store;
  search: Meilisearch;
  switches: Switches;
}) {
  const { redisUrl, store, search } = options;
  const connection: ConnectionOptions = { url: redisUrl, maxRetriesPerRequest: null };
  let lastExpiry = new Date().toISOString();

  const work: Record<QueueName, (job: Job) => Promise<unknown>> = {
    bookings: async () => {
      const expired = await expireHolds(store);
      lastExpiry = new Date().toISOString();
      return { expired };
    },
    notifications: async () => {
      if (current.mail === 'down') throw new UnrecoverableError('connect ECONNREFUSED: the mail server');
      if (current.mail === 'slow') await sleep(SLOW_MAIL_MS);
    },
    'search-indexing': async ({ data }: Job<{ packageId: string }>) => {
      const documents = await store.query(
        `SELECT packages.id, title, place, "priceCents" FROM packages WHERE id = $1 AND status = 'published'`,
        [data.packageId],
      );
      const index = search.index('packages');
      const task =
        documents.length > 0
          ? index.addDocuments(documents, { primaryKey: 'id' })
          : index.deleteDocument(data.packageId);
      await task.waitTask({ timeout: 5_000 });
    },
  };

  const queues = Object.fromEntries(
    QUEUES.map((name) => [name, new Queue(name, { connection, prefix: 'travel-jobs' })]),
  ) as Record<QueueName, Queue>;
  for (const queue of Object.values(queues)) queue.on('error', () => undefined);
  await queues.bookings.upsertJobScheduler(
    'expire-holds',
    { every: EXPIRE_EVERY_MS },
    { name: 'expire-holds', opts: { removeOnComplete: KEPT_JOBS, removeOnFail: KEPT_JOBS } },
  );

  let current = options.switches;
  const workers = new Map<QueueName, Worker>();
  const start = (name: QueueName): void => {
    const worker = new Worker(name, work[name], {
      connection,
      prefix: 'travel-jobs',
      concurrency: name === 'bookings' ? 1 : Number(current.workers),
      stalledInterval: 5_000,
    });
    worker.on('error', () => undefined);
    workers.set(name, worker);
  };
  const stop = async (name: QueueName): Promise<void> => {
    const worker = workers.get(name);
    workers.delete(name);
    await worker?.close();
  };
  /** One change after the other: two must not start the same worker. */
  let changing = Promise.resolve();
  const follow = (switches: Switches): void => {
    current = switches;
    for (const [name, worker] of workers)
      if (name !== 'bookings') worker.concurrency = Number(switches.workers);
    changing = changing.then(async () => {
      const runs = workers.has('bookings');
      if (switches.holdExpiry === 'off' && runs) await stop('bookings');
      if (switches.holdExpiry === 'on' && !runs) start('bookings');
    });
  };
  for (const name of QUEUES) if (name !== 'bookings' || current.holdExpiry === 'on') start(name);

  return {
    follow,
    lastExpiry: () => lastExpiry,
    add: (name: QueueName, what: string, data: object, attempts = 1) =>
      queues[name].add(what, data, {
        attempts,
        backoff: { type: 'fixed', delay: 2_000 },
        removeOnComplete: KEPT_JOBS,
      }),
    state: (): Promise<QueueState[]> => Promise.all(QUEUES.map((name) => stateOf(name, queues[name]))),
    async stop(): Promise<void> {
      await changing;
      await Promise.all([...workers.keys()].map((name) => stop(name)));
      await Promise.all(Object.values(queues).map((queue) => queue.close()));
    },
  };
}

async function stateOf(name: QueueName, queue: Queue): Promise<QueueState> {
  const [counts, waiting, delayed] = await Promise.all([
    queue.getJobCounts('waiting', 'failed', 'completed'),
    queue.getJobs(['waiting'], 0, 0, true),
    queue.getJobs(['delayed'], 0, 20, true),
  ]);
  const dueAt = ({ timestamp, delay, attemptsMade }: Job): number =>
    attemptsMade > 0 ? timestamp : timestamp + delay;
  const now = Date.now();
  // A list may hold the place of a job that was taken a moment ago.
  const due = [...waiting, ...delayed].filter((job) => (job as Job | undefined) !== undefined).map(dueAt);
  const { waiting: ready = 0, failed = 0, completed = 0 } = counts;
  return {
    name,
    waiting: ready,
    failed,
    oldestSeconds: Math.max(0, ...due.map((at) => (now - at) / 1_000)),
    failedShare: failed + completed === 0 ? 0 : failed / (failed + completed),
  };
}
