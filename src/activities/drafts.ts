import { createSavingActivities } from './drafts/informing';
import { createDraftLookActivities } from './drafts/look';
import { createSalvageActivities } from './drafts/salvage';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, what people write in an application. */
export function createDraftActivities(deps: ActivityDeps) {
  return {
    ...createDraftLookActivities(deps),
    ...createSalvageActivities(deps),
    ...createSavingActivities(deps),
  };
}
