import { createPlatformActivities } from '../activities/platform';
import { definePack } from '../doors/pack';

/** What every runbook stands on: its first step, leases and breakers, telling people. */
export const platformPack = definePack({
  name: 'platform',
  cards: [],
  workflows: require.resolve('../workflows/guard'),
  entities: ['guard'],
  activities: createPlatformActivities,
});
