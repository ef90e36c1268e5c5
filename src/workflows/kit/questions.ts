import { condition, isCancellation } from '@temporalio/workflow';
import { causeOf, Stop } from './failure';
import { askDecision, askPeople, waitedForAnswersMs, type Tell } from './people';
import { hashPlan } from './plan';
import type { Policy } from '../../contract/policy';
import { activitiesFor } from './presets';
import type { RunState } from './state';
import type { Choice, TaskCheck, Verdict } from './run';
import type { Steps } from './steps';

/** What only people can decide or do. */
export function createQuestions(state: RunState, policy: Policy, tell: Tell, step: Steps['step']) {
  /** A decision only a person can take. Expiry throws: it is never a yes. */
  async function ask(question: string, choices: Choice[]): Promise<string> {
    return (await askUnless(undefined, question, choices)) as string;
  }

  /** The same, or undefined when `check` holds before anybody has answered. */
  async function askUnless(
    check: TaskCheck | undefined,
    question: string,
    choices: Choice[],
  ): Promise<string | undefined> {
    const watch = watchFor(state, check);
    const id = hashPlan({ actions: [], facts: { question, asked: state.report.timeline.length } }).hash.slice(
      0,
      6,
    );
    const choice = await askDecision(
      state,
      { id, question, choices, expiresMs: policy.approvalExpiresMs, until: watch.holds },
      tell,
    ).finally(watch.end);
    if (choice === undefined && watch.holds()) return undefined;
    if (choice === undefined) throw new Stop('REJECTED', `nobody decided in time: ${question}`);
    return choice;
  }

  /** Work only a person can do. With `check`, the work counts as done when it holds. */
  async function task(instructions: string, check?: TaskCheck): Promise<void> {
    for (let round = 1; ; round += 1) {
      const watch = watchFor(state, check);
      const id = `task-${state.report.timeline.length}`;
      const answer = await askPeople(
        state,
        {
          title: 'Task for a person',
          kind: 'task',
          id,
          question: instructions,
          expiresMs: policy.humanWaitMs,
          // What is checked needs nobody's word.
          acts: () => check === undefined,
          until: watch.holds,
          update: { name: 'done', argument: { task: id, by: '<your name>' } },
        },
        tell,
      ).finally(watch.end);
      if (answer === undefined && !watch.holds())
        throw new Stop('REJECTED', `nobody did it in time: ${instructions}`);
      if (check === undefined) return;
      const { ok, detail } = await isDone(check);
      if (ok) return;
      instructions = `Still not right (${detail}), round ${round + 1}: ${instructions}`;
    }
  }

  /** What cannot be looked at is not done, and the task stays open: whoever mends something says so too early at times. */
  async function isDone({ title, call }: TaskCheck): Promise<Verdict> {
    try {
      return await step(title, call, { describe: ({ detail }) => detail });
    } catch (error) {
      if (isCancellation(error)) throw error;
      return { ok: false, detail: causeOf(error).message };
    }
  }

  return { ask, askUnless, task, waitedForAnswersMs: () => waitedForAnswersMs(state) };
}

/** After that many looks each wait is longer than the one before: days of them would fill a history. */
const LOOKS_AS_WANTED = 100;

/** Looks from time to time, beside the question and without a line of the timeline for each look. */
function watchFor(state: RunState, check: TaskCheck | undefined) {
  let [holds, ended] = [false, false];
  const watch = async ({ title, call, everyMs = 0 }: TaskCheck): Promise<void> => {
    const beganAt = Date.now();
    for (let heard = state.alert.resolvedAt; !holds; heard = state.alert.resolvedAt) {
      const waitMs = Math.max(everyMs, Math.ceil((Date.now() - beganAt) / LOOKS_AS_WANTED));
      await condition(() => ended || state.alert.resolvedAt !== heard, waitMs);
      if (ended) return;
      const looked = await call(activitiesFor('read', title, state)).catch(() => ({ ok: false }));
      holds = looked.ok;
    }
  };
  // It ends with the question; of a cancellation the question knows as well.
  if (check?.everyMs !== undefined) void watch(check).catch(() => undefined);
  return { holds: () => holds, end: () => void (ended = true) };
}
