import type { Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { withProgress } from '../../support/heartbeat';
import { changeQueue, type QueueChange } from '../changes';
import { readFailed, reasonOf } from '../failures';
import { putBackKey, RETRIED_SECONDS } from '../marks';
import { openQueue, withRedis, type OpenQueue } from '../redis';
import { retryNoted, type Chosen } from '../retry-script';
import { aiWorkersOf } from '../settings';
import { classifierOf, type Classify, type Kind } from './classify';
import { redisNow } from './look';
import { PROVIDER_KINDS, type ProviderKind } from './schema';

export interface PutBackInput extends QueueChange {
  /** Only tasks that were begun until then: what fails later is no victim of what is over. */
  begunUntil: number;
  /** At most so many by this run, those of earlier rounds counted in. */
  limit: number;
}

export interface PutBack {
  /** By this run, in all rounds so far. */
  count: number;
  /** Failures of the provider that are left for a later round. */
  left: number;
  /** Put back once before, by any run, and failed again: left to people. */
  again: number;
}

/** What became of what a run put back. */
export interface PutBackOutcome {
  /** Completed, or completed and removed. */
  done: number;
  pending: number;
  /** Failed again, and what that is now. */
  failed: { kind: Kind; count: number; says: string }[];
  /** Still worked on, and begun before that time: they may fail yet through what is over. */
  older: number;
  /** The clock of Redis. */
  nowMs: number;
}

const PAGE = 500;
const MAX_ACTIVE = 5_000;

export function createPutBackActivities(deps: ActivityDeps) {
  return {
    /**
     * Puts tasks back, by their IDs, that failed through their provider and not through themselves; each once, whichever run
     * it is. What is going to be put back is noted before, with the failure that it had: an attempt after a lost worker
     * goes on with exactly what is left. Throws as `pauseQueue`.
     */
    async putAiTasksBack(input: PutBackInput): Promise<PutBack> {
      const classify = classifierOf(aiWorkersOf(deps, input));
      const progress = { phase: 'put tasks back', done: 0, total: input.limit, unit: 'rows' as const };
      return withProgress(progress, (report) =>
        changeQueue(deps, input, 'put failed tasks back', (open, lost) =>
          putBack(open, input, classify, lost, (done) => report({ done })),
        ),
      );
    },

    /** What became of what this run has put back. Reads only, so a retry is safe. Throws as `readQueues`. */
    async followAiTasks({
      queue: name,
      run,
      begunUntil,
      ...place
    }: Place & { queue: string; run: string; begunUntil: number }): Promise<PutBackOutcome> {
      const classify = classifierOf(aiWorkersOf(deps, place));
      return withRedis(deps, place, async (redis, settings) =>
        followed(openQueue(redis, settings, name, place), { run, begunUntil }, classify),
      );
    },
  };
}

interface Mark {
  finishedOn: string;
  run: string;
}

async function readMarks({ redis, queue, settings }: OpenQueue): Promise<Map<string, Mark>> {
  const key = putBackKey(queue);
  const oldest = (await redisNow(redis)) - settings.retryHours * 3_600_000 - RETRIED_SECONDS * 1_000;
  const marks = new Map<string, Mark>();
  const outlived: string[] = [];
  for (const [id, note] of Object.entries(await redis.hgetall(key))) {
    const [finishedOn = '', run = ''] = note.split(' ');
    if (Number(finishedOn) < oldest) outlived.push(id);
    else marks.set(id, { finishedOn, run });
  }
  for (let from = 0; from < outlived.length; from += PAGE)
    await redis.hdel(key, ...outlived.slice(from, from + PAGE));
  return marks;
}

async function putBack(
  open: OpenQueue,
  { run, begunUntil, limit }: PutBackInput,
  classify: Classify,
  lost: AbortSignal,
  report: (done: number) => void,
): Promise<PutBack> {
  const { redis, queue, settings } = open;
  const key = putBackKey(queue);
  const marks = await readMarks(open);
  const after = (await redisNow(redis)) - settings.retryHours * 3_600_000;
  let count = [...marks.values()].filter((mark) => mark.run === run).length;
  let [start, left, again] = [0, 0, 0];
  for (;;) {
    lost.throwIfAborted();
    const page = await readFailed(redis, queue, {
      ...{ start, count: PAGE, after, before: Infinity, newest: false },
    });
    if (page.length === 0) break;
    const chosen: Chosen[] = [];
    for (const job of page) {
      if (job.opts === undefined || job.begunAt > begunUntil || !isOfProvider(classify(job.text))) continue;
      const mark = marks.get(job.id);
      const note = `${job.finishedOn} ${run}`;
      // Noted with another failure: it has been put back since.
      if (mark !== undefined && mark.finishedOn !== job.finishedOn) again += 1;
      else if (mark?.run === run) chosen.push({ ...job, note });
      else if (count >= limit) left += 1;
      else {
        marks.set(job.id, { finishedOn: job.finishedOn, run });
        count += 1;
        chosen.push({ ...job, note });
      }
    }
    const gone = await retryNoted(open, key, chosen);
    for (const id of gone) marks.delete(id);
    count -= gone.length;
    start += page.length - chosen.length;
    report(count);
  }
  // Longer than any failure that may still be put back.
  await redis.expire(key, RETRIED_SECONDS + Math.ceil(settings.retryHours * 3_600));
  return { count, left, again };
}

function isOfProvider(kind: Kind): kind is ProviderKind {
  return (PROVIDER_KINDS as readonly string[]).includes(kind);
}

async function followed(
  { redis, queue }: OpenQueue,
  { run, begunUntil }: { run: string; begunUntil: number },
  classify: Classify,
): Promise<PutBackOutcome> {
  const notes = Object.entries(await redis.hgetall(putBackKey(queue)));
  const own = notes.map(([id, note]) => ({ id, of: note.split(' ') })).filter(({ of }) => of[1] === run);
  let [done, pending] = [0, 0];
  const failed = new Map<Kind, { count: number; says: string }>();
  for (let from = 0; from < own.length; from += PAGE) {
    const page = own.slice(from, from + PAGE);
    const pipeline = redis.pipeline();
    for (const { id } of page)
      pipeline.zscore(queue.toKey('failed'), id).hmget(queue.toKey(id), 'name', 'finishedOn', 'failedReason');
    const rows = (await pipeline.exec()) ?? [];
    page.forEach(({ of: [finishedBefore] }, index) => {
      const [, score] = rows[2 * index]! as [unknown, string | null];
      const [name, finishedOn, text] = (rows[2 * index + 1]![1] ?? []) as (string | null)[];
      // Still as it was noted: it is about to be put back.
      if (score !== null && score === finishedBefore) pending += 1;
      else if (score !== null) add(failed, classify(text ?? ''), reasonOf(text ?? ''));
      else if (typeof name === 'string' && finishedOn === null) pending += 1;
      else done += 1;
    });
  }
  return {
    done,
    pending,
    failed: [...failed].map(([kind, of]) => ({ kind, ...of })),
    older: await olderActive({ redis, queue }, begunUntil),
    nowMs: await redisNow(redis),
  };
}

function add(failed: Map<Kind, { count: number; says: string }>, kind: Kind, says: string): void {
  failed.set(kind, { count: (failed.get(kind)?.count ?? 0) + 1, says });
}

async function olderActive(
  { redis, queue }: Pick<OpenQueue, 'redis' | 'queue'>,
  begunUntil: number,
): Promise<number> {
  const ids = await redis.lrange(queue.toKey('active'), 0, MAX_ACTIVE - 1);
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hget(queue.toKey(id), 'processedOn');
  const rows = (await pipeline.exec()) ?? [];
  return rows.filter(([, begun]) => typeof begun === 'string' && Number(begun) <= begunUntil).length;
}
