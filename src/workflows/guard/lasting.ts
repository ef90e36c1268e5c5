import { workflowInfo } from '@temporalio/workflow';
import type { Release } from '../../contract/guard';
import { activitiesFor } from '../kit/presets';

/** Long before the server suggests it: a short history is replayed in a moment by whichever worker takes over. */
const MAX_EVENTS = 2_000;

/** Whether an entity should continue as new: as soon as all that it knows is in its state, whoever calls meanwhile. */
export function isLong(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength > MAX_EVENTS;
}

/** Unknown counts as yes: everything stays where it is, and the next look decides. */
export async function stillRuns({ workflowId, runId }: Release): Promise<boolean> {
  const { isRunning } = activitiesFor('read', `Is ${workflowId} still running?`);
  try {
    return await isRunning({ workflowId, runId });
  } catch {
    return true;
  }
}
