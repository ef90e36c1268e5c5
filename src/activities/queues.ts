import { createAiChangeActivities } from './queues/ai/changes';
import { createAiLookActivities } from './queues/ai/look';
import { createAiProviderActivities } from './queues/ai/provider';
import { createPutBackActivities } from './queues/ai/put-back';
import { createQueueChangeActivities } from './queues/changes';
import { createHoldQueueActivities } from './queues/holds';
import { createQueueLookActivities } from './queues/look';
import { createRetryActivities } from './queues/retry';
import { createSearchActivities } from './queues/search';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the queues of an application, and the index and the workers that some are for. */
export function createQueueActivities(deps: ActivityDeps) {
  return {
    ...createQueueLookActivities(deps),
    ...createHoldQueueActivities(deps),
    ...createQueueChangeActivities(deps),
    ...createRetryActivities(deps),
    ...createSearchActivities(deps),
    ...createAiLookActivities(deps),
    ...createAiProviderActivities(deps),
    ...createAiChangeActivities(deps),
    ...createPutBackActivities(deps),
  };
}
