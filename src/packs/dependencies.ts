import type * as Made from '../activities/dependencies';
import { dependenciesSettings } from '../activities/dependencies/settings';
import { definePack } from '../doors/pack';
import { reviewDependenciesCard } from '../workflows/dependencies/review-dependencies/card';

/** What a service is built of. */
export const dependenciesPack = definePack({
  name: 'dependencies',
  cards: [reviewDependenciesCard],
  workflows: require.resolve('../workflows/dependencies'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createDependencyActivities } = require('../activities/dependencies') as typeof Made;
    return createDependencyActivities(deps);
  },
  settings: dependenciesSettings,
});
