import { createCorrectionActivities } from './payments/corrections';
import { createMoneyActivities } from './payments/money';
import { createReconciliationActivities } from './payments/reconciliation';
import { createSubscriptionCorrections } from './payments/stripe/corrections';
import { createResendActivities } from './payments/stripe/resend';
import { createSubscriptionActivities } from './payments/stripe/subscriptions';
import { createUndeliveredActivities } from './payments/stripe/undelivered';
import { createEventLogActivities } from './payments/webhooks/event-log';
import { createWebhookReplayActivities } from './payments/webhooks/replay';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, the payments of an application. */
export function createPaymentActivities(deps: ActivityDeps) {
  return {
    ...createReconciliationActivities(deps),
    ...createCorrectionActivities(deps),
    ...createMoneyActivities(deps),
    ...createUndeliveredActivities(deps),
    ...createResendActivities(deps),
    ...createSubscriptionActivities(deps),
    ...createSubscriptionCorrections(deps),
    ...createEventLogActivities(deps),
    ...createWebhookReplayActivities(deps),
  };
}
