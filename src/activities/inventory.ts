import { createConfirmationActivities } from './inventory/confirmations';
import { createInventoryAuditActivities } from './inventory/audit';
import { createRebuildActivities } from './inventory/rebuild';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the inventory of an application. */
export function createInventoryActivities(deps: ActivityDeps) {
  return {
    ...createInventoryAuditActivities(deps),
    ...createRebuildActivities(deps),
    ...createConfirmationActivities(deps),
  };
}
