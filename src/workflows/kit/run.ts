import { CancellationScope, isCancellation } from '@temporalio/workflow';
import { causeOf, Stop } from './failure';
import { createAdmission, type Origin } from './admission';
import { createChildren } from './children';
import { createGates } from './gates';
import { acquireLease, releaseLease } from './lease';
import { createMessenger } from './messenger';
import type { Policy } from '../../contract/policy';
import { createQuestions } from './questions';
import { addNote, type AlertState, type RunState } from './state';
import { createSteps } from './steps';
import { createTidying } from './tidying';
import { createUndoStack } from './undo';
import type { Fence } from '../../contract/place';

/** What a procedure works with. One per run. */
export type Run = ReturnType<typeof createRun>;

/** Makes the `run` object that a procedure gets. */
export function createRun(state: RunState, policy: Policy, origin: Origin) {
  const messenger = createMessenger(state, policy);
  const { announce, tell } = messenger;
  const undos = createUndoStack(state, policy, { announce, tell });
  const { within, ...steps } = createSteps(state, undos);

  /** Holds the lease of `target` while `body` runs. What `body` did is undone before the lease is given back, or stays. */
  async function exclusively<T>(target: string, body: (fence: Fence) => Promise<T>, atLeast = 0): Promise<T> {
    const fence = await acquireLease(state, target, atLeast);
    const mark = undos.mark();
    try {
      const result = await body(fence);
      undos.keep(mark);
      return result;
    } catch (error) {
      await undos.unwind(mark, error);
      throw error;
    } finally {
      await releaseLease(state, target);
    }
  }

  /**
   * Runs `body`; where it fails, undoes what it did and says why. An answer of a person, a cancellation, and a way back that
   * failed are not for the procedure to go on from: they are thrown.
   */
  async function attempt(body: () => Promise<unknown>): Promise<{ ok: boolean; why: string }> {
    const mark = undos.mark();
    try {
      await body();
      return { ok: true, why: '' };
    } catch (error) {
      const ends = error instanceof Stop || isCancellation(error) || undos.result().stuck !== undefined;
      if (ends || CancellationScope.current().consideredCancelled) throw error;
      await undos.unwind(mark, error);
      if (undos.result().stuck !== undefined) throw error;
      return { ok: false, why: causeOf(error).message };
    }
  }

  return {
    policy,
    undos,
    attempt,
    /** Registers a way back by itself, for what is done by several steps. */
    undo: (title: string, back: () => Promise<unknown>) => undos.push({ title, back }),
    ...steps,
    ...createGates(state, policy, tell, within),
    ...createQuestions(state, policy, tell, steps.step),
    ...createTidying(state, steps.step),
    admission: createAdmission(state, policy, tell, origin),
    ...createChildren(state),
    exclusively,
    ...messenger,
    /** What the sender of the alert has said since the run began. */
    sender: state.alert as Readonly<AlertState>,
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
  };
}
