import type { Redis } from 'ioredis';
import type { Queue } from 'bullmq';
import { printableLine } from '../../contract/printable';
import { shown } from '../observe/log-events';

/** Failed jobs that failed for one reason, as it may be shown: without numbers and secrets. */
export interface FailureGroup {
  reason: string;
  count: number;
}

/** A failed job as Redis has it. */
export interface FailedJob {
  id: string;
  /** When it failed, as its worker wrote it: its score in the set, which is the same only for the same failure. */
  finishedOn: string;
  reason: string;
  /** The same as its worker wrote it. It may have secrets in it, and never leaves the worker. */
  text: string;
  /** When its last attempt began, as its worker wrote it; when it failed, where that is not known. */
  begunAt: number;
  /** Text of its options; undefined where there is no such job behind its ID, or something else is. */
  opts: string | undefined;
}

const MAX_REASON = 4_000;

interface FailedRange {
  start: number;
  count: number;
  /** Both in milliseconds, and included. */
  after: number;
  before: number;
  newest: boolean;
}

/** Of the failed jobs of a queue those from `start` on, the newest first where `newest`. */
export async function readFailed(
  redis: Redis,
  queue: Queue,
  { start, count, after, before, newest }: FailedRange,
): Promise<FailedJob[]> {
  const key = queue.toKey('failed');
  const until = Number.isFinite(before) ? before : '+inf';
  const found = newest
    ? await redis.zrevrangebyscore(key, until, after, 'WITHSCORES', 'LIMIT', start, count)
    : await redis.zrangebyscore(key, after, until, 'WITHSCORES', 'LIMIT', start, count);
  const pipeline = redis.pipeline();
  for (let i = 0; i < found.length; i += 2)
    pipeline.hmget(queue.toKey(found[i]!), 'name', 'opts', 'failedReason', 'processedOn');
  const rows = await pipeline.exec();
  // Most jobs of a queue have the same options, and fail for a few reasons.
  const [isOptions, reasonFor] = [remembering(isObject), remembering(reasonOf)];
  return (rows ?? []).map(([error, row], index) => {
    const [id, finishedOn] = [found[2 * index]!, found[2 * index + 1]!];
    // Behind an ID that nobody expected may be a key of another kind, or one that is none of a job.
    const [name, opts, said, begun] = error === null ? (row as (string | null)[]) : [];
    const text = (said ?? '').slice(0, MAX_REASON);
    const begunAt = Number(begun ?? finishedOn);
    if (typeof name !== 'string' || typeof opts !== 'string' || !isOptions(opts))
      return { id, finishedOn, reason: NO_JOB, text, begunAt, opts: undefined };
    return { id, finishedOn, reason: reasonFor(text), text, begunAt, opts };
  });
}

function remembering<T>(make: (text: string) => T): (text: string) => T {
  const made = new Map<string, T>();
  return (text) => {
    const known = made.get(text) ?? make(text);
    made.set(text, known);
    return known;
  };
}

function isObject(text: string): boolean {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null;
  } catch {
    return false;
  }
}

export const NO_JOB = 'there is no job behind its ID';

export function reasonOf(text: string): string {
  return text.trim() === '' ? 'nobody says why' : printableLine(shown(text.slice(0, MAX_REASON)));
}

/** The most frequent ones first. */
export function groupsOf(jobs: FailedJob[]): FailureGroup[] {
  const counts = new Map<string, number>();
  for (const { reason, opts } of jobs)
    if (opts !== undefined) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  return [...counts].map(([reason, count]) => ({ reason, count })).sort((a, b) => b.count - a.count);
}
