import { createQueueChangeActivities } from './queues/changes';
import { createQueueLookActivities } from './queues/look';
import { createRetryActivities } from './queues/retry';
import { createSearchActivities } from './queues/search';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the queues of an application, and the index that one of them fills. */
export function createQueueActivities(deps: ActivityDeps) {
  return {
    ...createQueueLookActivities(deps),
    ...createQueueChangeActivities(deps),
    ...createRetryActivities(deps),
    ...createSearchActivities(deps),
  };
}
