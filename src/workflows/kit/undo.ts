import { CancellationScope } from '@temporalio/workflow';
import { causeOf, Stop } from './failure';
import { askPeople, type Tell } from './people';
import type { Policy } from '../../contract/policy';
import { addNote, type RunState } from './state';

/** The way back of one step. `back` may use steps and questions, and calls `run.needsHuman` where it would be unsafe. */
export interface Undo {
  title: string;
  back: () => Promise<unknown>;
}

interface Messages {
  announce: (text: string) => Promise<void>;
  tell: Tell;
}

export type UndoStack = ReturnType<typeof createUndoStack>;

/** Steps back, newest first, whatever happened; stops for a person where a step back fails. */
export function createUndoStack(state: RunState, policy: Policy, { announce, tell }: Messages) {
  const stack: Undo[] = [];
  let undone = 0;
  let kept = 0;
  let stuck: string | undefined;

  async function unwind(mark: number, reason: unknown): Promise<void> {
    if (stuck !== undefined || stack.length <= mark) return;
    await CancellationScope.nonCancellable(async () => {
      const before = state.movement;
      state.movement = 'undo';
      addNote(state, 'Going back', causeOf(reason).message);
      while (stack.length > mark && stuck === undefined) await stepBack(stack.pop() as Undo);
      state.movement = before;
    });
  }

  async function stepBack({ title, back }: Undo): Promise<void> {
    try {
      // Its own steps are the lines of the timeline.
      await back();
      undone += 1;
    } catch (error) {
      stuck = error instanceof Stop ? error.summary : `${title} failed: ${causeOf(error).message}`;
      addNote(state, `${title}: not done`, stuck);
      await callPerson(stuck.replace(/\.$/, ''));
    }
  }

  /** No loop and no second try: everything is kept as it is, leases included, until somebody has looked. */
  async function callPerson(problem: string): Promise<void> {
    await announce(`NEEDS_HUMAN: ${problem}`);
    const id = `repair-${state.report.timeline.length}`;
    await askPeople(
      state,
      {
        title: 'Repair by a person',
        kind: 'task',
        id,
        question: `${problem}. Backups and copies are kept and the target stays leased. Repair it by hand, then say what you did.`,
        expiresMs: policy.humanWaitMs,
        update: { name: 'done', argument: { task: id, by: '<your name>', note: '<what you did>' } },
      },
      tell,
    );
  }

  return {
    push: (undo: Undo) => void stack.push(undo),
    mark: () => stack.length,
    unwind,
    /** What was done since `mark` is finished and stays, whatever the run comes to: nobody holds its lease any longer. */
    keep: (mark: number) => {
      kept += stack.splice(mark).length;
    },
    /** What unwinding came to. */
    result: () => ({ undone, kept, stuck }),
  };
}
