import { createCorrectionActivities } from './payments/corrections';
import { createMoneyActivities } from './payments/money';
import { createReconciliationActivities } from './payments/reconciliation';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the payments of an application. */
export function createPaymentActivities(deps: ActivityDeps) {
  return {
    ...createReconciliationActivities(deps),
    ...createCorrectionActivities(deps),
    ...createMoneyActivities(deps),
  };
}
