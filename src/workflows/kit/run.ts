import { ApplicationFailure, CancelledFailure, CancellationScope, sleep } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { Fence } from '../../activities/types';
import type { Movement, Plan, TimelineEntry } from '../../report/types';
import { causeOf, Stop, verificationFailed } from './failure';
import { acquireLease, passKillSwitch, releaseLease } from './lease';
import { askApproval, askPeople, noteVoid, type Tell } from './people';
import { hashPlan, type PlanDraft } from './plan';
import type { Policy } from './policy';
import { activitiesFor, type StepKind } from './presets';
import { addNote, endEntry, publish, startEntry, type RunState } from './state';
import { createUndoStack, type Undo } from './undo';

export interface StepOptions<T> {
  kind?: StepKind;
  /**
   * The way back, registered before the step starts because its outcome may stay unknown. `none` says that a failed
   * step has changed nothing (one transaction, or only our own copy).
   */
  undo?: Undo | 'none';
  /** One line about the result for the timeline. */
  describe?: (result: T) => string;
}

export interface Verdict {
  ok: boolean;
  detail: string;
}

export type Call<T> = (act: Activities) => Promise<T>;

/** What a procedure works with. One per run. */
export type Run = ReturnType<typeof createRun>;

const MAX_REPLANS = 5;
const MAX_SOAK_CHECKS = 200;

/** Makes the `run` object that a procedure gets. */
export function createRun(state: RunState, policy: Policy) {
  const deferred: { title: string; call: Call<unknown> }[] = [];
  const tell: Tell = async (rung, text) => {
    const name = policy.ladder[Math.min(rung, policy.ladder.length - 1)];
    await announce(text, name === undefined ? undefined : { rung: name });
  };

  /** One activity, or several that belong together, as one line of the timeline. */
  async function step<T>(title: string, call: Call<T>, options: StepOptions<T> = {}): Promise<T> {
    const { kind = 'read', undo, describe } = options;
    stopIfCancelled();
    // A step of an undo has no way back of its own.
    if (undo !== undefined && undo !== 'none' && state.movement !== 'undo') undos.push(undo);
    const entry = startEntry(state, title, 'running');
    try {
      const result = await call(activitiesFor(kind, title));
      endEntry(state, entry, 'done', describe?.(result));
      // The result of an activity that did not hear the cancellation still arrives.
      stopIfCancelled();
      return result;
    } catch (error) {
      if (entry.status === 'running') endEntry(state, entry, 'failed', causeOf(error).message);
      throw error;
    }
  }

  /** A step whose result must satisfy `holds`; otherwise the run fails and unwinds. */
  async function verify<T>(title: string, call: Call<T>, holds: (result: T) => Verdict): Promise<T> {
    return within('verify', async () => {
      const entry = startEntry(state, title, 'running');
      try {
        const result = await call(activitiesFor('long', title));
        const { ok, detail } = holds(result);
        endEntry(state, entry, ok ? 'done' : 'failed', detail);
        stopIfCancelled();
        if (!ok) throw verificationFailed(`${title}: ${detail}`);
        return result;
      } catch (error) {
        if (entry.status === 'running') endEntry(state, entry, 'failed', causeOf(error).message);
        throw error;
      }
    });
  }

  /** Records what is going to happen. In mode `observe` the run ends here, having changed nothing. */
  async function plan(draft: PlanDraft): Promise<Plan> {
    state.report.plan = hashPlan(draft);
    state.movement = 'plan';
    addNote(state, `Plan ${state.report.plan.hash}`, `${draft.actions.length} actions`);
    if (policy.mode === 'observe')
      throw new Stop('OBSERVED', `plan ${state.report.plan.hash} was not carried out`);
    await passKillSwitch(state);
    state.movement = 'act';
    return state.report.plan;
  }

  /**
   * Lets the run act on exactly this plan. After an approval the plan is made again: if the facts changed meanwhile,
   * the approval is void and the new plan is asked for.
   */
  async function gate(make: () => Promise<PlanDraft> | PlanDraft): Promise<Plan> {
    return within('gate', async () => {
      let wanted = hashPlan(await make());
      for (let round = 0; round < MAX_REPLANS; round += 1) {
        state.report.plan = wanted;
        publish(state);
        if (policy.mode === 'observe') throw new Stop('OBSERVED', `plan ${wanted.hash} was not carried out`);
        if (policy.mode === 'propose') {
          const answer = await askApproval(state, wanted, tell);
          if (answer === undefined) throw new Stop('REJECTED', `nobody approved plan ${wanted.hash} in time`);
          if (answer.verb === 'reject') {
            throw new Stop(
              'REJECTED',
              `${answer.by} rejected plan ${wanted.hash}${answer.note ? `: ${answer.note}` : ''}`,
            );
          }
        }
        await passKillSwitch(state);
        if (policy.mode === 'auto') return wanted;
        const again = hashPlan(await make());
        if (again.hash === wanted.hash) return wanted;
        noteVoid(state, wanted, again);
        wanted = again;
      }
      throw ApplicationFailure.nonRetryable(
        `the facts changed ${MAX_REPLANS} times during the approval`,
        'PlanKeepsChanging',
      );
    });
  }

  /** A decision only a person can take. Expiry throws: it is never a yes. */
  async function ask(question: string, choices: string[]): Promise<string> {
    const id = hashPlan({ actions: [], facts: { question, asked: state.report.timeline.length } }).hash.slice(
      0,
      6,
    );
    const answer = await askPeople(
      state,
      {
        title: 'Decision',
        kind: 'decision',
        id,
        question,
        choices,
        expiresMs: policy.approvalExpiresMs,
        update: { name: 'decide', argument: { question: id, choice: choices[0] ?? '', by: '<your name>' } },
        refuse: (_, words) =>
          choices.includes(words['choice'] ?? '')
            ? undefined
            : `"choice" must be one of: ${choices.join(', ')}`,
      },
      tell,
    );
    if (answer?.choice === undefined) throw new Stop('REJECTED', `nobody decided in time: ${question}`);
    return answer.choice;
  }

  /** Work only a person can do. With `check`, the work counts as done when it holds. */
  async function task(instructions: string, check?: { title: string; call: Call<Verdict> }): Promise<void> {
    for (let round = 1; ; round += 1) {
      const id = `task-${state.report.timeline.length}`;
      const answer = await askPeople(
        state,
        {
          title: 'Task for a person',
          kind: 'task',
          id,
          question: instructions,
          expiresMs: policy.humanWaitMs,
          update: { name: 'done', argument: { task: id, by: '<your name>' } },
        },
        tell,
      );
      if (answer === undefined) throw new Stop('REJECTED', `nobody did it in time: ${instructions}`);
      if (check === undefined) return;
      const { ok, detail } = await step(check.title, check.call, { describe: (verdict) => verdict.detail });
      if (ok) return;
      instructions = `Still not right (${detail}), round ${round + 1}: ${instructions}`;
    }
  }

  /** Holds the lease of `target` while `body` runs. What `body` did is undone before the lease is given back. */
  async function exclusively<T>(target: string, body: (fence: Fence) => Promise<T>, atLeast = 0): Promise<T> {
    const fence = await acquireLease(state, target, atLeast);
    const mark = undos.mark();
    try {
      return await body(fence);
    } catch (error) {
      await undos.unwind(mark, error);
      throw error;
    } finally {
      await releaseLease(state, target);
    }
  }

  /** Watches for `forMs`; a check that does not hold fails the run. One line of the timeline. */
  async function soak(
    title: string,
    call: Call<Verdict>,
    { forMs, everyMs }: { forMs: number; everyMs: number },
  ): Promise<void> {
    if (forMs <= 0) return;
    await within('verify', async () => {
      const entry = startEntry(state, title, 'running');
      try {
        await watch(entry, title, call, forMs, Math.max(everyMs, Math.ceil(forMs / MAX_SOAK_CHECKS)));
      } catch (error) {
        endEntry(state, entry, 'failed', causeOf(error).message);
        throw error;
      }
    });
  }

  async function watch(
    entry: TimelineEntry,
    title: string,
    call: Call<Verdict>,
    forMs: number,
    everyMs: number,
  ): Promise<void> {
    const until = Date.now() + forMs;
    let checks = 0;
    for (;;) {
      const { ok, detail } = await call(activitiesFor('read', title));
      checks += 1;
      if (!ok) throw verificationFailed(`${title}: ${detail}`);
      const left = until - Date.now();
      if (left <= 0) return endEntry(state, entry, 'done', `${checks} checks, last: ${detail}`);
      entry.detail = `${checks} checks so far, last: ${detail}`;
      publish(state);
      await sleep(Math.min(everyMs, left));
    }
  }

  /** A status message. Best effort: its failure is on the timeline and never fails a run. */
  async function announce(text: string, to?: { rung?: string }): Promise<void> {
    const { workflowId, service, title } = state.report;
    try {
      const { told, problems } = await activitiesFor('read', 'Announce').announce({
        service,
        text,
        workflowId,
        title,
        rung: to?.rung ?? null,
      });
      if (problems.length > 0) addNote(state, 'A message did not arrive', problems.join('; '));
      if (to?.rung !== undefined && told.length === 0)
        addNote(state, `Nobody could be told at ${to.rung}`, text);
    } catch (error) {
      stopIfCancelled();
      addNote(state, 'A message did not arrive', causeOf(error).message);
    }
  }

  /** Something to tidy up when the run ends, whatever came of it; kept when a person is needed. */
  function defer(title: string, call: Call<unknown>): void {
    deferred.push({ title, call });
  }

  async function tidy(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (const { title, call } of deferred.splice(0).reverse()) {
        try {
          await step(title, call, { kind: 'long' });
        } catch (error) {
          addNote(state, `${title} failed`, `${causeOf(error).message}. Its time to live will remove it.`);
        }
      }
    });
  }

  async function within<T>(movement: Movement, body: () => Promise<T>): Promise<T> {
    const before = state.movement;
    // What happens inside an undo is part of the undo.
    if (before !== 'undo') state.movement = movement;
    try {
      return await body();
    } finally {
      state.movement = before === 'diagnose' && movement === 'gate' ? 'act' : before;
    }
  }

  const run = {
    policy,
    step,
    verify,
    plan,
    gate,
    ask,
    task,
    exclusively,
    soak,
    announce,
    defer,
    /** A measured fact for the report, e.g. `rtoSeconds`. */
    fact: (name: string, value: string | number | boolean) => {
      state.report.facts[name] = value;
    },
    note: (title: string, detail?: string) => addNote(state, title, detail),
    nothingToDo: (summary: string): never => {
      throw new Stop('NOTHING_TO_DO', summary);
    },
    /** Ends the run because a person said no. */
    reject: (summary: string): never => {
      throw new Stop('REJECTED', summary);
    },
    /** Ends an undo that would be unsafe: everything is kept and a person is called. */
    needsHuman: (summary: string): never => {
      throw new Stop('NEEDS_HUMAN', summary);
    },
    /** Keeps what was done so far: an earlier undo is no longer the way back. */
    commit: () => undos.clear(),
  };
  const undos = createUndoStack(state, policy, { run, tell });
  return Object.assign(run, { undos, tidy });
}

function stopIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled');
}
