import { createCalendarActivities } from './calendar/calendar';
import { createWebhookActivities } from './delivery/webhooks';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, what an application sends to others, and keeps in step with them. */
export function createDeliveryActivities(deps: ActivityDeps) {
  return { ...createWebhookActivities(deps), ...createCalendarActivities(deps) };
}
