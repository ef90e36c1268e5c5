import type * as Made from '../activities/platform';
import { definePack } from '../doors/pack';

/** What every runbook stands on: its first step, leases and breakers, telling people. */
export const platformPack = definePack({
  name: 'platform',
  cards: [],
  workflows: require.resolve('../workflows/guard'),
  entities: ['guard', 'places'],
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createPlatformActivities } = require('../activities/platform') as typeof Made;
    return createPlatformActivities(deps);
  },
});
