import type * as Made from '../activities/listings';
import { listingsSettings } from '../activities/listings/settings';
import { definePack } from '../doors/pack';
import { auditProviderGateCard } from '../workflows/listings/audit-provider-gate/card';

/** What providers offer, and who may publish it. */
export const listingsPack = definePack({
  name: 'listings',
  cards: [auditProviderGateCard],
  workflows: require.resolve('../workflows/listings'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createListingActivities } = require('../activities/listings') as typeof Made;
    return createListingActivities(deps);
  },
  settings: listingsSettings,
});
