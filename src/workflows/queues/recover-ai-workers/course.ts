import type { Measured } from '../../../activities/observe/measure';
import type { AiProvider, AiWorkers } from '../../../activities/queues/ai/look';
import type { QueuesStatus, QueueStatus } from '../../../activities/queues/look';
import { percent, type Verdict } from '../../kit';
import { delaysHold, findingsOf } from '../findings';

export interface Found {
  ai: AiWorkers;
  status: QueuesStatus;
  queue: QueueStatus;
  measures: Measured[];
}

/** What is wrong at the provider now. */
export type Cause = AiWorkers['switchOn'][number];

/** What the run is going to do about what it found. */
export interface Course extends Found {
  /** Null where generations end well now. */
  cause: Cause | null;
  way: 'switch' | 'person' | 'slower' | 'wait' | 'none';
  /** Undefined where nobody can tell. */
  current: AiProvider | undefined;
  /** Whose turn it is where the run switches. */
  target: AiProvider | undefined;
  /** Where the only trial call is made. */
  trialAt: string | undefined;
  /** Failures of the provider that were never put back. */
  open: number;
  workerless: boolean;
  bad: Measured[];
}

const CAUSES: Cause[] = ['outage', 'timeout', 'rateLimit', 'credentials'];

export function courseOf(found: Found): Course {
  const { ai, queue } = found;
  const current = ai.providers.find(({ name }) => name === ai.current.name);
  const cause = causeOf(found, current);
  const target = cause !== null && ai.switchOn.includes(cause) ? otherThan(current, ai) : undefined;
  const way = wayOf(cause, target);
  const tried = target ?? (way === 'none' || (way === 'slower' && ai.canSlow) ? undefined : current);
  return {
    ...found,
    cause,
    way,
    current,
    target,
    trialAt: tried?.hasTrial === true ? tried.name : undefined,
    open: sumOf(ai, ({ open }) => open),
    workerless: findingsOf(queue).some((one) => one.cause === 'no workers'),
    // One that is not known is said, and is no symptom.
    bad: found.measures.filter(({ ok, value }) => !ok && value !== null),
  };
}

function wayOf(cause: Cause | null, target: AiProvider | undefined): Course['way'] {
  if (cause === null) return 'none';
  if (target !== undefined) return 'switch';
  if (cause === 'credentials') return 'person';
  return cause === 'rateLimit' ? 'slower' : 'wait';
}

/** The next that is well; else one whose page says nothing, where a trial call will tell. */
function otherThan(current: AiProvider | undefined, { providers }: AiWorkers): AiProvider | undefined {
  if (current === undefined) return undefined;
  const others = providers.filter(({ name }) => name !== current.name);
  return (
    others.find(({ state }) => state === 'well') ??
    others.find(({ state, hasTrial }) => state === 'unknown' && hasTrial)
  );
}

function causeOf({ ai, queue, status }: Found, current: AiProvider | undefined): Cause | null {
  const unwell = current?.state === 'unwell';
  if (shareOf(ai) <= queue.maxFailedShare)
    return unwell && sumOf(ai, ({ open }) => open) > 0 ? 'outage' : null;
  // It was so, and is over.
  if (!unwell && ai.completedAfter >= status.trialJobs) return null;
  const count = (cause: Cause) => ai.failures.find(({ kind }) => kind === cause)?.lately ?? 0;
  const most = CAUSES.reduce((a, b) => (count(b) > count(a) ? b : a));
  // Nothing but a person ends it.
  if (count('credentials') / endedOf(ai) > queue.maxFailedShare) return 'credentials';
  return most === 'timeout' && unwell ? 'outage' : most;
}

function endedOf({ failures, completed }: AiWorkers): number {
  return failures.reduce((all, { lately }) => all + lately, completed);
}

/** Of what ended lately, the share that failed through the provider. */
function shareOf(ai: AiWorkers): number {
  const failed = sumOf(ai, ({ lately }) => lately);
  return failed === 0 ? 0 : failed / endedOf(ai);
}

export function isOfProvider(kind: string): kind is Cause {
  return (CAUSES as string[]).includes(kind);
}

export function sumOf(ai: AiWorkers, of: (one: AiWorkers['failures'][number]) => number): number {
  return ai.failures.reduce((all, one) => all + (isOfProvider(one.kind) ? of(one) : 0), 0);
}

export function isWell({ cause, open, queue, workerless, bad }: Course): boolean {
  const held = queue.paused && queue.waiting + queue.delayed > 0;
  return cause === null && open === 0 && !workerless && !held && bad.length === 0 && delaysHold([queue]).ok;
}

/** One task alone is no share: of few, a single one that fails would be more than any objective allows. */
export function tooMany(failed: number, all: number, { maxFailedShare }: QueueStatus): boolean {
  return failed > 1 && failed / all > maxFailedShare;
}

/** Whether what was begun since then ends well, as far as it has ended. */
export function endWell(ai: AiWorkers, queue: QueueStatus): Verdict & { failed: number } {
  const failed = sumOf(ai, ({ lately }) => lately);
  return {
    ok: !tooMany(failed, endedOf(ai), queue),
    failed,
    detail: `since then ${ai.completed} ended well and ${failed} failed through the provider (${percent(shareOf(ai))}), wanted at most ${percent(queue.maxFailedShare)} or one`,
  };
}

/** The same course has the same text, however far counts have moved meanwhile. */
export function sameCourse(a: Course, b: Course): boolean {
  return keyOf(a) === keyOf(b);
}

function keyOf({ cause, way, current, target, trialAt, open, queue, workerless, bad }: Course): string {
  const names = [current?.name, target?.name, trialAt, ...bad.map(({ name }) => name)];
  return JSON.stringify([cause, way, open > 0, queue.paused, workerless, names]);
}
