import { createAnnounceActivities } from './announce';
import { createApplicationActivities } from './application';
import { createCommandActivities } from './commands';
import type { ActivityDeps } from './deps';
import { createGuardActivities } from './guard';
import { createPrepareActivities } from './prepare';

/** Everything a worker can do to the outside world. */
export function createActivities(deps: ActivityDeps) {
  return {
    ...createPrepareActivities(deps),
    ...createGuardActivities(deps),
    ...createAnnounceActivities(deps),
    ...createApplicationActivities(deps),
    ...createCommandActivities(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
