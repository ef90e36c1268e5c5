import { createGateAuditActivities } from './listings/audit';
import { createSuspensionActivities } from './listings/suspensions';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the listings of an application. */
export function createListingActivities(deps: ActivityDeps) {
  return { ...createGateAuditActivities(deps), ...createSuspensionActivities(deps) };
}
