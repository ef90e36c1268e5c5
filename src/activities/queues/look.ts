import type { Place } from '../../contract/place';
import { withProgress } from '../support/heartbeat';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { groupsOf, readFailed, type FailureGroup } from './failures';
import { isEarlier, newestEvent, readFlow, type Flow } from './flow';
import { readOldestWait } from './delay';
import { pausedByKey } from './marks';
import { openQueue, requireKnown, withRedis, type OpenQueue } from './redis';

/** One queue as it is, beside what it should be. */
export interface QueueStatus {
  name: string;
  critical: boolean;
  waiting: number;
  active: number;
  delayed: number;
  failed: number;
  /** Of the oldest job that could be worked on; 0 where none waits, null where nobody can tell. */
  delayMs: number | null;
  maxDelayMs: number;
  paused: boolean;
  /** The run that paused it; null where it is not paused, or by somebody else. */
  pausedBy: string | null;
  /** Null where Redis does not say. */
  workers: number | null;
  /** Null where the queue's events do not say. */
  flow: Flow | null;
  maxFailedShare: number;
  /** Failed, and completed as far as that is kept, within the time in which failed ones are retried. */
  recent: { failed: number; completed: number; since: number };
  /** Why the newest of those failed; the most frequent reasons first. */
  failures: FailureGroup[];
  /** Failed IDs without a job behind them, among those that were looked at. */
  odd: number;
  /** When the newest failed one failed, as its worker wrote it: what fails later is none of a plan that is made now. */
  failedUntil: number | null;
  /** Only ever grows, unless Redis loses data. */
  newestEvent: string | null;
  /** How many jobs were ever added. As the newest event; it is smaller also where new ones come in after a loss. */
  added: number;
}

export interface QueuesStatus {
  queues: QueueStatus[];
  canScale: boolean;
  windowMs: number;
  patienceMs: number;
  trialJobs: number;
  maxRetries: number;
}

/** What a queue was at when the run looked first. */
export type Seen = Pick<QueueStatus, 'name' | 'newestEvent' | 'added'>;

const MAX_SAMPLE = 1_000;
const MAX_REASONS = 10;

export function createQueueLookActivities(deps: ActivityDeps) {
  return {
    /**
     * Every configured queue, or those that are named. Reads only, so a retry is safe. Of `seen` it makes sure that Redis
     * still has what it had. Throws InvalidInput, RedisUnreachable, AuthenticationFailed, RedisRefused, QueueUnknown,
     * QueueVersionUnknown, QueueDataLost.
     */
    async readQueues({
      only,
      seen = [],
      ...place
    }: Place & { only?: string[]; seen?: Seen[] }): Promise<QueuesStatus> {
      const progress = { phase: 'read queues', done: 0, total: 0, unit: 'statements' as const };
      return withProgress(progress, () =>
        withRedis(deps, place, async (redis, settings) => {
          const names = settings.names.map(({ name }) => name).filter((name) => only?.includes(name) ?? true);
          const queues: QueueStatus[] = [];
          for (const name of names) {
            const open = openQueue(redis, settings, name, place);
            queues.push(
              await readQueue(
                open,
                seen.find((one) => one.name === name),
              ),
            );
          }
          return {
            queues,
            canScale: settings.workers !== undefined,
            windowMs: settings.windowSeconds * 1_000,
            patienceMs: settings.patienceSeconds * 1_000,
            trialJobs: settings.trialJobs,
            maxRetries: settings.maxRetries,
          };
        }),
      );
    },
  };
}

/** Throws as `readQueues` does. */
export async function readQueue(open: OpenQueue, seen?: Seen): Promise<QueueStatus> {
  const { redis, queue, config, settings, title } = open;
  const newest = await newestEvent(redis, queue.toKey('events'));
  const added = Number((await redis.get(queue.toKey('id'))) ?? 0);
  if (seen !== undefined && (isEarlier(newest, seen.newestEvent) || added < seen.added)) throw lost(title);
  await requireKnown(open);
  const counts = await queue.getJobCounts('waiting', 'prioritized', 'active', 'delayed', 'failed');
  // Where BullMQ 5 keeps what waits in a paused queue.
  const setAside = await redis.llen(queue.toKey('paused'));
  const count = (state: string) => counts[state] ?? 0;
  const since = Date.now() - settings.retryHours * 3_600_000;
  const ended = (state: string) => redis.zcount(queue.toKey(state), since, '+inf');
  const jobs = await readFailed(redis, queue, {
    ...{ start: 0, count: MAX_SAMPLE },
    ...{ after: since, before: Infinity, newest: true },
  });
  const delay = await readOldestWait(redis, queue);
  const paused = await queue.isPaused();
  return {
    name: config.name,
    critical: config.critical,
    waiting: count('waiting') + count('prioritized') + setAside,
    active: count('active'),
    delayed: count('delayed'),
    failed: count('failed'),
    delayMs: delay === null ? 0 : (delay ?? null),
    maxDelayMs: config.maxDelaySeconds * 1_000,
    paused,
    pausedBy: paused ? await redis.get(pausedByKey(queue)) : null,
    workers: await workersOf(open),
    flow: (await readFlow(redis, queue.toKey('events'), settings.windowSeconds * 1_000)) ?? null,
    maxFailedShare: config.maxFailedShare,
    recent: { failed: await ended('failed'), completed: await ended('completed'), since },
    failures: groupsOf(jobs).slice(0, MAX_REASONS),
    odd: jobs.filter(({ opts }) => opts === undefined).length,
    failedUntil: jobs[0] === undefined ? null : Number(jobs[0].finishedOn),
    newestEvent: newest,
    added,
  };
}

/** Some hosts of Redis keep to themselves who is connected; then BullMQ makes up a worker. */
async function workersOf({ queue }: OpenQueue): Promise<number | null> {
  const workers = await queue.getWorkers();
  return workers.some(({ rawname }) => rawname === undefined) ? null : workers.length;
}

function lost(title: string) {
  return fail(
    'QueueDataLost',
    `Redis has lost what it had of the queue ${title}: it is as it was before this run looked first, or empty. Jobs are lost; find out which from where they came from, and why Redis keeps so little.`,
  );
}
