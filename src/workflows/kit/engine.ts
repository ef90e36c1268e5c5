import { ApplicationFailure, CancellationScope, isCancellation, upsertMemo } from '@temporalio/workflow';
import type { Fence } from '../../contract/place';
import type { Policy } from '../../contract/policy';
import type { Outcome } from '../../contract/report';
import { createAdmission, type Origin } from './admission';
import { createChildren } from './children';
import { causeOf, Stop } from './failure';
import { createGates } from './gates';
import { createLauncher } from './launcher';
import { acquireLease, keepLease, releaseLease } from './lease';
import { createMessenger } from './messenger';
import { createQuestions } from './questions';
import { createRest } from './rest';
import type { Run } from './run';
import { showSections } from './sections';
import { addNote, publish, type RunState } from './state';
import { createSteps } from './steps';
import { createTidying } from './tidying';
import { createUndoStack, type UndoStack } from './undo';

/** What carries a run: the face that its procedure gets, and what only the kit may use. */
export function createEngine(state: RunState, policy: Policy, origin: Origin) {
  const { tell, endPages, endAnnouncements, ...messenger } = createMessenger(state, policy);
  const undos = createUndoStack(state, policy, { announce: messenger.announce, tell });
  const { within, ...steps } = createSteps(state, undos);
  const { defer, tidy } = createTidying(state, steps.step);
  const run: Run = {
    id: state.report.workflowId,
    policy,
    sender: state.alert,
    objective: (name) => objectiveOf(policy, name),
    ...steps,
    ...createGates(state, policy, tell, within),
    ...createQuestions(state, policy, tell, steps.step),
    ...createBrackets(state, undos),
    rest: createRest(state),
    ...createChildren(state),
    ...createLauncher(state),
    ...messenger,
    ...createTelling(state),
    defer,
    undo: (title, back, changed) => undos.push({ title, back, changed }),
    nothingToDo: ends('NOTHING_TO_DO'),
    reject: ends('REJECTED'),
    needsHuman: ends('NEEDS_HUMAN'),
  };
  return {
    run,
    undos,
    tidy,
    endPages,
    endAnnouncements,
    admission: createAdmission(state, policy, tell, origin),
  };
}

function ends(outcome: Outcome): (summary: string) => never {
  return (summary) => {
    throw new Stop(outcome, summary);
  };
}

function createBrackets(state: RunState, undos: UndoStack): Pick<Run, 'exclusively' | 'attempt'> {
  async function exclusively<T>(target: string, body: (fence: Fence) => Promise<T>, atLeast = 0): Promise<T> {
    const fence = await acquireLease(state, target, atLeast);
    const mark = undos.mark();
    let left: string | undefined;
    try {
      const result = await body(fence);
      undos.keep(mark);
      return result;
    } catch (error) {
      await undos.unwind(mark, error);
      // Where going back got stuck, a person has said that it is repaired.
      if (error instanceof Stop && error.outcome === 'NEEDS_HUMAN' && undos.result().stuck === undefined)
        left = error.summary;
      throw error;
    } finally {
      if (left === undefined) await releaseLease(state, target);
      else await keepLease(state, target, left);
    }
  }

  async function attempt(body: () => Promise<unknown>): Promise<{ ok: boolean; why: string }> {
    const mark = undos.mark();
    try {
      await body();
      return { ok: true, why: '' };
    } catch (error) {
      const ended = () => undos.result().stuck !== undefined;
      if (error instanceof Stop || isCancellation(error) || ended()) throw error;
      if (CancellationScope.current().consideredCancelled) throw error;
      await undos.unwind(mark, error);
      if (ended()) throw error;
      return { ok: false, why: causeOf(error).message };
    }
  }

  return { exclusively, attempt };
}

type Telling = Pick<Run, 'fact' | 'note' | 'show' | 'summary' | 'movement' | 'save'>;

function createTelling(state: RunState): Telling {
  const { report } = state;
  return {
    fact: (name, value) => {
      report.facts[name] = value;
    },
    note: (title, detail, { failed = false, movement } = {}) => {
      const before = state.movement;
      state.movement = before === 'undo' ? before : (movement ?? before);
      addNote(state, title, detail, failed ? 'failed' : 'note');
      state.movement = before;
    },
    show: (sections) => showSections(state, sections),
    summary: (text) => {
      report.summary = text;
      publish(state);
    },
    movement: (movement) => {
      if (state.movement !== 'undo') state.movement = movement;
    },
    save: () => {
      publish(state);
      upsertMemo({ report });
    },
  };
}

/** Runs that began before objectives had a place of their own have them among the fields of the policy. */
function objectiveOf(policy: Policy, name: string): number {
  const value = policy.objectives?.[name] ?? (policy as unknown as Record<string, unknown>)[name];
  if (typeof value === 'number') return value;
  throw ApplicationFailure.nonRetryable(
    `${policy.service} has no objective "${name}"; known: ${Object.keys(policy.objectives ?? {}).join(', ') || 'none'}`,
    'NoObjective',
  );
}
