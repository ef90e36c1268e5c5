import { sleep, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { QueueStatus, QueuesStatus } from '../../activities/queues/look';
import type { RetryOutcome } from '../../activities/queues/retry';
import type { Fence, Place } from '../../contract/place';
import { countOf, duration, type Run } from '../kit';
import { queuesIn } from './findings';

/** What came of retrying the failed jobs of one queue. */
export interface RetriedQueue {
  queue: string;
  retried: number;
  done: number;
  failedAgain: number;
  pending: number;
  /** Failed lately, and not retried. */
  left: number;
  stopped: RetryOutcome[];
}

/** Each round retries so many times as many as the one before. */
const GROWTH = 10;
/** How often people say that a cause is gone before the run believes them no more. */
const MAX_CYCLES = 3;
const MAX_LOOKS = 60;
const LOOK_EVERY_MS = 1_000;

/** By which Redis knows this run and what it did. */
export function runKey(): string {
  return workflowInfo().firstExecutionRunId;
}

/**
 * Retries what failed lately, a few of each reason first. A reason that comes back is asked about before more of it is
 * retried; what people leave stays failed.
 */
export async function retryFailed(
  run: Run,
  place: Place,
  queue: QueueStatus,
  status: QueuesStatus,
): Promise<RetriedQueue> {
  let { failures, failedUntil } = queue;
  let result: RetriedQueue = { queue: queue.name, ...NONE };
  for (let cycle = 1; failures.length > 0 && failedUntil !== null; cycle += 1) {
    const of = {
      queue: queue.name,
      run: `${runKey()}:${cycle}`,
      after: queue.recent.since,
      before: failedUntil,
    };
    const reasons = failures.map(({ reason }) => reason);
    const now = await run.exclusively(queuesIn(place), (fence) =>
      oneCycle(run, place, fence, { ...of, reasons }, status),
    );
    result = {
      ...now,
      queue: queue.name,
      retried: result.retried + now.retried,
      done: result.done + now.done,
      pending: result.pending + now.pending,
    };
    if (now.stopped.length === 0 || cycle === MAX_CYCLES || !(await isGone(run, queue.name, now.stopped)))
      break;
    const again = await run.step(`What of ${queue.name} has failed`, (act) =>
      act.readQueues({ ...place, only: [queue.name] }),
    );
    const wanted = now.stopped.flatMap(({ reason, says }) => [reason, says]);
    failures = again.queues[0]!.failures.filter(({ reason }) => wanted.includes(reason));
    failedUntil = again.queues[0]!.failedUntil;
  }
  return result;
}

const NONE = { retried: 0, done: 0, failedAgain: 0, pending: 0, left: 0, stopped: [] };

interface CycleOf {
  queue: string;
  run: string;
  after: number;
  before: number;
  reasons: string[];
}

async function oneCycle(
  run: Run,
  place: Place,
  fence: Fence,
  { reasons, ...of }: CycleOf,
  { trialJobs, maxRetries, patienceMs }: QueuesStatus,
): Promise<Omit<RetriedQueue, 'queue'>> {
  let open = reasons;
  let [retried, left, others] = [0, 0, 0];
  let outcomes: RetryOutcome[] = [];
  for (let perReason = trialJobs; open.length > 0; perReason *= GROWTH) {
    const before = retried;
    ({ retried, left, others } = await run.step(
      before === 0 ? `Retry a few failed jobs of ${of.queue}` : `Retry more failed jobs of ${of.queue}`,
      (act) => act.retryFailedJobs({ ...place, ...of, reasons: open, perReason, limit: maxRetries, fence }),
      {
        kind: 'mutate',
        undo: { irreversible: 'failed jobs were retried', unless: (now) => now.retried === 0 },
        describe: (now) => `${countOf(now.retried, 'job')} so far, ${now.left + now.others} left`,
      },
    ));
    outcomes = await run.step(
      `What became of them`,
      (act) => untilOver(act, { ...place, queue: of.queue, run: of.run, reasons }, patienceMs),
      { describe: outcomesText },
    );
    const over = (reason: string) => outcomes.find((one) => one.reason === reason);
    open = open.filter((reason) => over(reason)?.failedAgain === 0 && over(reason)?.pending === 0);
    if (left === 0 || retried === before || retried >= maxRetries) break;
  }
  const sum = (of: (one: RetryOutcome) => number) => outcomes.reduce((all, one) => all + of(one), 0);
  return {
    retried,
    done: sum((one) => one.done),
    failedAgain: sum((one) => one.failedAgain),
    pending: sum((one) => one.pending),
    // Also of the reasons that were given up, and of those that are too rare to be named.
    left: left + others,
    stopped: outcomes.filter(({ failedAgain }) => failedAgain > 0),
  };
}

async function untilOver(
  act: Activities,
  of: Parameters<Activities['followRetriedJobs']>[0],
  patienceMs: number,
): Promise<RetryOutcome[]> {
  const everyMs = Math.max(LOOK_EVERY_MS, patienceMs / MAX_LOOKS);
  for (const deadline = Date.now() + patienceMs; ;) {
    const now = await act.followRetriedJobs(of);
    if (now.every(({ pending }) => pending === 0) || Date.now() >= deadline) return now;
    await sleep(everyMs);
  }
}

async function isGone(run: Run, queue: string, stopped: RetryOutcome[]): Promise<boolean> {
  for (const { reason, failedAgain, says } of stopped)
    run.note(`Finding: jobs of ${queue} fail again`, `${failedAgain} x ${reason}; now: ${says}`, {
      failed: true,
    });
  const why = [...new Set(stopped.map(({ says }) => says))].join('; ');
  const answer = await run.ask(
    `Of ${queue} ${countOf(sumOf(stopped), 'job')} failed again when tried (${why}), so no more of those were retried. Mend the cause first. Is it gone now?`,
    ['retry them', { harmless: 'leave them failed' }],
  );
  return answer === 'retry them';
}

function sumOf(stopped: RetryOutcome[]): number {
  return stopped.reduce((all, { failedAgain }) => all + failedAgain, 0);
}

export function outcomesText(outcomes: RetryOutcome[]): string {
  return outcomes
    .filter(({ done, pending, failedAgain }) => done + pending + failedAgain > 0)
    .map(
      ({ reason, done, pending, failedAgain }) =>
        `${reason}: ${done} done, ${pending} not over, ${failedAgain} failed again`,
    )
    .join('; ');
}

/** What is not as it should be; undefined where every failed job was retried and ended well. */
export function remainsText(
  { queue, failedAgain, pending, left }: RetriedQueue,
  patienceMs: number,
): string | undefined {
  const parts = [
    ...(failedAgain > 0 ? [`${failedAgain} failed again`] : []),
    ...(pending > 0 ? [`${pending} were retried and are not over within ${duration(patienceMs)}`] : []),
    ...(left > 0 ? [`${left} were not retried`] : []),
  ];
  return parts.length === 0 ? undefined : `of the failed jobs of ${queue} ${parts.join(', ')}`;
}
