import { createHash } from 'node:crypto';
import type { Place } from '../../contract/place';
import { withProgress } from '../support/heartbeat';
import type { ActivityDeps } from '../support/deps';
import { changeQueue, type QueueChange } from './changes';
import { readFailed } from './failures';
import { retriedKey } from './marks';
import { openQueue, withRedis, type OpenQueue } from './redis';
import { retryNoted, type Chosen } from './retry-script';

export type RetryInput = QueueChange & Selection;

export interface Selection {
  /** Of the run, by which it knows what it retried itself. */
  run: string;
  /** Only those that failed for one of them, as `readQueues` words it. */
  reasons: string[];
  /** Only what failed from then, `recent.since` of the queue, */
  after: number;
  /** until then, its `failedUntil` when it was decided. */
  before: number;
  /** At most so many of each reason, those of earlier rounds of this run counted in. */
  perReason: number;
  /** At most so many of all. */
  limit: number;
}

export interface Retried {
  /** By this run, in all rounds so far. */
  retried: number;
  /** Failed until then for one of the reasons, and not retried by any round. */
  left: number;
  /** The same, for a reason that is none of them. */
  others: number;
}

/** What became of the jobs that a run retried for one reason. */
export interface RetryOutcome {
  reason: string;
  /** Completed, or completed and removed. */
  done: number;
  /** Waiting or worked on. */
  pending: number;
  failedAgain: number;
  /** Why, the last of them. */
  says: string;
}

const PAGE = 500;

export function createRetryActivities(deps: ActivityDeps) {
  return {
    /**
     * Retries failed jobs by their IDs. Each is noted as it is retried, with the failure that it had: an attempt after a
     * lost worker goes on with exactly what is left, and a job that fails again is not retried twice, whatever the clocks
     * of workers say. Throws as `pauseQueue`.
     */
    async retryFailedJobs(input: RetryInput): Promise<Retried> {
      const total = input.limit;
      const progress = { phase: `retry jobs of ${input.queue}`, done: 0, total, unit: 'rows' as const };
      return withProgress(progress, (report) =>
        changeQueue(deps, input, 'retry failed jobs', (open, lost) =>
          retryAll(open, input, lost, (done) => report({ done })),
        ),
      );
    },

    /** What became of what this run retried. Reads only, so a retry is safe. Throws as `readQueues`. */
    async followRetriedJobs({
      queue: name,
      run,
      reasons,
      ...place
    }: Place & { queue: string; run: string; reasons: string[] }): Promise<RetryOutcome[]> {
      return withRedis(deps, place, async (redis, settings) => {
        const open = openQueue(redis, settings, name, place);
        return followed(open, await redis.hgetall(retriedKey(open.queue, run)), reasons);
      });
    },
  };
}

/** What an activity does under its fence. */
export async function retryAll(
  open: OpenQueue,
  { run, reasons, after, before, perReason, limit }: Selection,
  lost: AbortSignal,
  report: (done: number) => void,
): Promise<Retried> {
  const { redis, queue } = open;
  const key = retriedKey(queue, run);
  const noted = new Map(Object.entries(await redis.hgetall(key)));
  const counts = new Map<string, number>();
  for (const note of noted.values()) add(counts, digestIn(note), 1);
  const wanted = new Map(reasons.map((reason) => [reason, digestOf(reason)]));
  let [start, left, others] = [0, 0, 0];
  for (;;) {
    lost.throwIfAborted();
    const page = await readFailed(redis, queue, { start, count: PAGE, after, before, newest: false });
    if (page.length === 0) break;
    const chosen: Chosen[] = [];
    for (const job of page) {
      const digest = wanted.get(job.reason);
      const note = noted.get(job.id);
      if (job.opts === undefined) continue;
      if (digest === undefined) {
        others += note === undefined ? 1 : 0;
        continue;
      }
      const isNew = note === undefined && noted.size < limit && (counts.get(digest) ?? 0) < perReason;
      if (isNew) {
        const fresh = `${job.finishedOn} ${digest}`;
        chosen.push({ ...job, note: fresh });
        noted.set(job.id, fresh);
        add(counts, digest, 1);
      } else if (note === undefined) left += 1;
      // One that was noted with another failure has been retried, and has failed again.
      else if (note.split(' ')[0] === job.finishedOn) chosen.push({ ...job, note });
    }
    for (const id of await retryNoted(open, key, chosen)) noted.delete(id);
    // Neither those that were retried nor those that somebody else took are among the failed ones any more.
    start += page.length - chosen.length;
    report(noted.size);
  }
  return { retried: noted.size, left, others };
}

async function followed(
  { redis, queue }: OpenQueue,
  noted: Record<string, string>,
  reasons: string[],
): Promise<RetryOutcome[]> {
  const outcomes = new Map(
    reasons.map((reason) => [digestOf(reason), { reason, done: 0, pending: 0, failedAgain: 0, says: '' }]),
  );
  const ids = Object.keys(noted);
  for (let from = 0; from < ids.length; from += PAGE) {
    const page = ids.slice(from, from + PAGE);
    const pipeline = redis.pipeline();
    for (const id of page)
      pipeline.zscore(queue.toKey('failed'), id).hmget(queue.toKey(id), 'name', 'finishedOn');
    const rows = (await pipeline.exec()) ?? [];
    page.forEach((id, index) => {
      const outcome = outcomes.get(digestIn(noted[id]!));
      if (outcome === undefined) return;
      const [, score] = rows[2 * index]!;
      const [, row] = rows[2 * index + 1]!;
      const [name, finishedOn] = (row ?? []) as (string | null)[];
      if (score !== null) outcome.failedAgain += 1;
      else if (typeof name === 'string' && finishedOn === null) outcome.pending += 1;
      else outcome.done += 1;
    });
  }
  return sayWhy({ redis, queue }, [...outcomes.values()]);
}

/** The newest failure tells, where any has failed again. */
async function sayWhy(
  { redis, queue }: Pick<OpenQueue, 'redis' | 'queue'>,
  outcomes: RetryOutcome[],
): Promise<RetryOutcome[]> {
  if (outcomes.every(({ failedAgain }) => failedAgain === 0)) return outcomes;
  const [newest] = await readFailed(redis, queue, {
    ...{ start: 0, count: 1 },
    ...{ after: 0, before: Infinity, newest: true },
  });
  return outcomes.map((one) =>
    one.failedAgain === 0 ? one : { ...one, says: newest?.reason ?? one.reason },
  );
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

function digestOf(reason: string): string {
  return createHash('sha256').update(reason).digest('hex').slice(0, 12);
}

function digestIn(note: string): string {
  return note.split(' ')[1] ?? '';
}
