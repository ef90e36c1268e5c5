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
  // The memory of a guard that was terminated expires with its history: before that, one that goes on from it is started.
  hourly: async ({ client, config }) => {
    if (client === undefined) return;
    const { reviveGuards } = await import('../activities/guard/reach-guard.js');
    await reviveGuards(client, config);
  },
});
