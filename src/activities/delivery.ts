import { createWebhookActivities } from './delivery/webhooks';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, what an application sends to others. */
export function createDeliveryActivities(deps: ActivityDeps) {
  return { ...createWebhookActivities(deps) };
}
