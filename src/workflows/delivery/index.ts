export { replayWebhookDeliveries } from './replay-webhook-deliveries/replay-webhook-deliveries';
