import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { PutBack, PutBackOutcome } from '../../../activities/queues/ai/put-back';
import { countOf, duration, verificationFailed, type Run } from '../../kit';
import { runKey } from '../retry-failed';
import { isOfProvider, tooMany } from './course';
import type { Under } from './remedy';

export interface PutBackResult {
  count: number;
  done: number;
  /** Through the provider. */
  failedAgain: number;
  /** What is not as it should be. */
  remains: string[];
  /** From when on tasks are expected to end well, by the clock of Redis. */
  wellSince: number;
}

/** Each round puts so many times as many back as the one before. */
const GROWTH = 10;
const MAX_ROUNDS = 12;
const MAX_LOOKS = 60;
const LOOK_EVERY_MS = 1_000;

/**
 * A few first: they are what proves that tasks end well. From then on what fails is the provider's again, and until then
 * also what was begun before and fails late is put back.
 */
export async function putTasksBack(run: Run, under: Under): Promise<PutBackResult> {
  const { place, fence, course } = under;
  const { status } = course;
  const queue = course.queue.name;
  const of = { ...place, queue, run: runKey() };
  const start = await run.look('The time', (act) => act.readAiWorkers(place));
  let [wellSince, limit] = [start.nowMs, Math.min(status.trialJobs, status.maxRetries)];
  let [now, before]: [PutBack, number] = [{ count: 0, left: 0, again: 0 }, 0];
  let outcome: PutBackOutcome | undefined;
  // Of the few that prove it none may fail, and of more no more than of any other tasks.
  const isBad = (found: PutBackOutcome) =>
    before === 0 ? badOf(found) > 0 : tooMany(badOf(found), now.count, course.queue);
  for (let round = 1; round <= MAX_ROUNDS; round += 1) {
    before = now.count;
    now = await run.step(
      before === 0 ? 'Put a few tasks back' : 'Put more tasks back',
      (act) => act.putAiTasksBack({ ...of, begunUntil: wellSince, limit, fence }),
      {
        kind: 'mutate',
        undo: { irreversible: 'failed tasks were put back', unless: ({ count }) => count === 0 },
        describe: ({ count, left }) => `${countOf(count, 'task')} so far, ${left} left`,
      },
    );
    if (now.count === before && outcome !== undefined) break;
    outcome = await run.step(
      'What became of them',
      (act) => untilOver(act, { ...of, begunUntil: wellSince }, status.patienceMs, isBad),
      { describe: outcomeText },
    );
    if (isBad(outcome)) await stop(run, under, outcome);
    // They had all the time that they may take.
    if (outcome.pending > 0 || outcome.older > 0) break;
    if (before === 0 && now.count > 0) wellSince = outcome.nowMs;
    limit = Math.min(limit * GROWTH, status.maxRetries);
  }
  const { done = 0 } = outcome ?? {};
  const failedAgain = sum(outcome?.failed.filter(({ kind }) => isOfProvider(kind)) ?? []);
  return {
    count: now.count,
    done,
    failedAgain,
    wellSince,
    remains: remainsOf(now, outcome, status.patienceMs),
  };
}

async function untilOver(
  act: Activities,
  of: Parameters<Activities['followAiTasks']>[0],
  patienceMs: number,
  isBad: (now: PutBackOutcome) => boolean,
): Promise<PutBackOutcome> {
  const everyMs = Math.max(LOOK_EVERY_MS, patienceMs / MAX_LOOKS);
  for (const deadline = Date.now() + patienceMs; ;) {
    const now = await act.followAiTasks(of);
    const isOver = now.pending === 0 && now.older === 0;
    if (isOver || isBad(now) || Date.now() >= deadline) return now;
    await sleep(everyMs);
  }
}

const isNotItsOwn = ({ kind }: PutBackOutcome['failed'][number]): boolean => kind !== 'input';

const sum = (all: { count: number }[]): number => all.reduce((count, one) => count + one.count, 0);
const badOf = ({ failed }: PutBackOutcome): number => sum(failed.filter(isNotItsOwn));

/** No more is put back where it does not help. */
async function stop(run: Run, { place, course }: Under, { failed }: PutBackOutcome): Promise<never> {
  const bad = failed.filter(isNotItsOwn);
  const why = bad.map(({ kind, count, says }) => `${count} x ${kind}: ${says}`).join('; ');
  await run.page(
    `${place.service}: tasks of ${course.queue.name} fail again after they were put back (${why}).`,
  );
  throw verificationFailed(`tasks of ${course.queue.name} fail again after they were put back: ${why}`);
}

function outcomeText({ done, pending, failed, older }: PutBackOutcome): string {
  return [
    `${done} done`,
    `${pending} not over`,
    ...failed.map(({ kind, count, says }) => `${count} failed again (${kind}: ${says})`),
    ...(older > 0 ? [`${older} that were begun before are still worked on`] : []),
  ].join(', ');
}

function remainsOf(
  { left }: PutBack,
  { pending = 0, failed = [], older = 0 }: Partial<PutBackOutcome> = {},
  patienceMs: number,
): string[] {
  const own = sum(failed.filter((one) => !isNotItsOwn(one)));
  const others = sum(failed) - own;
  return [
    ...(pending > 0 ? [`${pending} were put back and are not over within ${duration(patienceMs)}`] : []),
    ...(own > 0 ? [`${own} failed again through their own input`] : []),
    ...(others > 0 ? [`${others} failed again after they were put back`] : []),
    ...(left > 0 ? [`${left} were not put back`] : []),
    ...(older > 0 ? [`${older} that were begun before are still worked on, and may fail yet`] : []),
  ];
}
