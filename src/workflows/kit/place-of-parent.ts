import { CancellationScope, condition, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { Release } from '../../contract/guard';
import type { Place, RunState } from './state';

/** Says whether a part of another run only waits now. */
export interface ChildRests extends Release {
  rests: boolean;
}

/** A part of another run has its place; while it waits for people, that one gives it back and takes one again. */
export function placeOfParent(state: RunState): Place {
  const tell = async (rests: boolean): Promise<boolean> => {
    const { parent, workflowId, runId } = workflowInfo();
    if (parent === undefined) return false;
    try {
      const message: ChildRests = { workflowId, runId, rests };
      await getExternalWorkflowHandle(parent.workflowId, parent.runId).signal('childRests', message);
      return true;
    } catch {
      // It has ended, and its place with it.
      return false;
    }
  };
  return {
    give: () => CancellationScope.nonCancellable(async () => void (await tell(true))),
    take: async () => {
      if (state.movement === 'undo') return;
      const { goOn } = state;
      if (await tell(false)) await condition(() => state.goOn !== goOn);
    },
  };
}

/** What the parent does for it. */
export async function heedChild(state: RunState, { workflowId, runId, rests }: ChildRests): Promise<void> {
  if (rests) return state.place.give();
  try {
    await state.place.take(true);
  } catch {
    // This run is cancelled. What it still does waits for no place, and an error here would end it before its way back.
  }
  await CancellationScope.nonCancellable(async () => {
    try {
      await getExternalWorkflowHandle(workflowId, runId).signal('goOn');
    } catch {
      // It has ended meanwhile.
    }
  });
}
