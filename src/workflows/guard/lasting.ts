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

/** Those of these runs that have ended. Unknown counts as running: everything stays where it is, and the next look decides. */
export async function endedOf(runs: Release[]): Promise<Release[]> {
  if (runs.length === 0) return [];
  const { findEnded } = activitiesFor('read', `Which of ${runs.length} have ended?`);
  try {
    return await findEnded({ runs: runs.map(({ workflowId, runId }) => ({ workflowId, runId })) });
  } catch {
    return [];
  }
}
