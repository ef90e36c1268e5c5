import { CancellationScope } from '@temporalio/workflow';
import type { Policy } from '../../contract/policy';
import { keepChange, settleWayBack } from './changes';
import { causeOf, Stop } from './failure';
import { keepLease } from './lease';
import { askDecision, askPeople, type Tell } from './people';
import { addNote, type RunState } from './state';
import type { Undo } from './way-back';

interface Messages {
  announce: (text: string) => Promise<unknown>;
  tell: Tell;
}

/** `changed` says what stays where the way back is not gone; `done` is false until its step is. */
export type Registered = Undo & { changed?: string | undefined; done?: boolean };

export type UndoStack = ReturnType<typeof createUndoStack>;

/** Steps back, newest first, whatever happened; stops for a person where a step back fails. */
export function createUndoStack(state: RunState, policy: Policy, { announce, tell }: Messages) {
  const stack: Registered[] = [];
  let undone = 0;
  let stuck: string | undefined;

  async function unwind(mark: number, reason: unknown): Promise<void> {
    if (stuck !== undefined || stack.length <= mark) return;
    await CancellationScope.nonCancellable(async () => {
      const before = state.movement;
      state.movement = 'undo';
      addNote(state, 'Going back', causeOf(reason).message);
      while (stack.length > mark && stuck === undefined) await stepBack(stack.at(-1) as Registered);
      state.movement = before;
    });
  }

  async function stepBack(one: Registered): Promise<void> {
    const { title, back } = one;
    const before = state.report.changes ?? [];
    try {
      // Its own steps are the lines of the timeline.
      await back();
      settleWayBack(state, before);
      stack.splice(stack.indexOf(one), 1);
      undone += 1;
    } catch (error) {
      stuck = error instanceof Stop ? error.summary : `${title} failed: ${causeOf(error).message}`;
      addNote(state, `${title}: not done`, stuck);
      const problem = stuck.replace(/\.$/, '');
      await offerTheRest(one, problem);
      await callPerson(problem);
    }
  }

  /** What must not wait until somebody has repaired the one that is stuck. */
  async function offerTheRest(stuckOne: Registered, problem: string): Promise<void> {
    for (const one of [...stack].reverse()) {
      if (one === stuckOne) continue;
      const offer = await one.offer?.().catch((error: unknown) => causeOf(error).message);
      if (offer === undefined) continue;
      const choice = await askDecision(
        state,
        {
          id: `offer-${state.report.timeline.length}`,
          question: `${offer}, and going back stopped before that: ${problem}. ${one.title} now?`,
          choices: [one.title, { harmless: 'leave it' }],
          expiresMs: policy.approvalExpiresMs,
        },
        tell,
      );
      if (choice !== one.title) {
        addNote(
          state,
          `${one.title}: not done`,
          `${offer}, ${choice === undefined ? 'and nobody decided in time' : 'as decided'}`,
        );
        continue;
      }
      try {
        await one.back();
        stack.splice(stack.indexOf(one), 1);
      } catch (error) {
        addNote(state, `${one.title}: not done`, causeOf(error).message);
      }
    }
  }

  /** No loop and no second try: everything is kept as it is, leases included, until somebody has looked. */
  async function callPerson(problem: string): Promise<void> {
    for (const target of state.leases.keys()) await keepLease(state, target, problem);
    await announce(`NEEDS_HUMAN: ${problem}`);
    // However long it takes: whoever is asked again has forgotten it, and nobody else may act on the target meanwhile.
    for (let repaired = false; !repaired;) {
      const id = `repair-${state.report.timeline.length}`;
      const answer = await askPeople(
        state,
        {
          title: 'Repair by a person',
          kind: 'task',
          id,
          question: `${problem}. Backups and copies are kept and the target stays leased. Repair it by hand, then say what you did.`,
          expiresMs: policy.humanWaitMs,
          // It lets others at the target.
          acts: () => true,
          update: { name: 'done', argument: { task: id, by: '<your name>', note: '<what you did>' } },
        },
        tell,
      );
      repaired = answer !== undefined;
    }
  }

  return {
    push: (undo: Registered) => {
      // A way back has none of its own: where it fails, a person is called.
      if (state.movement !== 'undo') stack.push(undo);
    },
    has: (title: string) => stack.some((one) => one.title === title),
    /** What that step did is taken back already: nothing of it stays when its way back is given up. */
    settle: (step: string) => {
      for (const one of stack) if (one.changed === step) delete one.changed;
    },
    mark: () => stack.length,
    unwind,
    /** What was done since `mark` is finished and stays, whatever the run comes to: nobody holds its lease any longer. */
    keep: (mark: number) => {
      for (const { changed, done = true } of stack.splice(mark))
        if (changed !== undefined) keepChange(state, changed, done);
    },
    /** What unwinding came to. */
    result: () => ({ undone, stuck }),
  };
}
