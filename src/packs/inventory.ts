import type * as Made from '../activities/inventory';
import { inventorySettings } from '../activities/inventory/settings';
import { definePack } from '../doors/pack';
import { auditInventoryCard } from '../workflows/inventory/audit-inventory/card';

/** What there is to sell, and how much of it is sold. */
export const inventoryPack = definePack({
  name: 'inventory',
  cards: [auditInventoryCard],
  workflows: require.resolve('../workflows/inventory'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createInventoryActivities } = require('../activities/inventory') as typeof Made;
    return createInventoryActivities(deps);
  },
  settings: inventorySettings,
});
