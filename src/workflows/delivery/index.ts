export { recoverCalendarSync } from './recover-calendar-sync/recover-calendar-sync';
export { replayWebhookDeliveries } from './replay-webhook-deliveries/replay-webhook-deliveries';
