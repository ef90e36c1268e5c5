import { createCorruptionActivities } from './recovery/corruption/corruption-activities';
import { createVariableActivities } from './recovery/variables';
import type { ActivityDeps } from './support/deps';

/** What recovering a service as a whole needs beside what deals with its parts. */
export function createRecoveryActivities(deps: ActivityDeps) {
  return { ...createVariableActivities(deps), ...createCorruptionActivities(deps) };
}
