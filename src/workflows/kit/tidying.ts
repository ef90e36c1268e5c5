import { CancellationScope } from '@temporalio/workflow';
import { causeOf } from './failure';
import { addNote, type RunState } from './state';
import type { Call } from './run';
import type { Steps } from './steps';

/** Cleaning up at the end of a run, whatever came of it. */
export function createTidying(state: RunState, step: Steps['step']) {
  const deferred: { title: string; call: Call<unknown>; otherwise: string }[] = [];

  /** Something to tidy up when the run ends, whatever came of it; kept when a person is needed. */
  function defer(title: string, call: Call<unknown>, otherwise = ''): void {
    deferred.push({ title, call, otherwise });
  }

  async function tidy(): Promise<void> {
    await CancellationScope.nonCancellable(async () => {
      for (const { title, call, otherwise } of deferred.splice(0).reverse()) {
        try {
          await step(title, call, { kind: 'long', undo: 'disposable' });
        } catch (error) {
          addNote(state, `${title} failed`, [causeOf(error).message, otherwise].filter(Boolean).join('. '));
        }
      }
    });
  }

  return { defer, tidy };
}
