import type * as Made from '../activities/queues';
import { checkQueues } from '../activities/queues/check-settings';
import { queuesSettings } from '../activities/queues/settings';
import { definePack } from '../doors/pack';
import { drainQueueBacklogCard } from '../workflows/queues/drain-queue-backlog/card';
import { recoverAiWorkersCard } from '../workflows/queues/recover-ai-workers/card';
import { recoverSearchIndexingCard } from '../workflows/queues/recover-search-indexing/card';

/** What waits in queues to be worked on. */
export const queuesPack = definePack({
  name: 'queues',
  cards: [drainQueueBacklogCard, recoverSearchIndexingCard, recoverAiWorkersCard],
  workflows: require.resolve('../workflows/queues'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createQueueActivities } = require('../activities/queues') as typeof Made;
    return createQueueActivities(deps);
  },
  settings: queuesSettings,
  check: checkQueues,
});
