export { reconcilePayment } from './reconcile-payment/reconcile-payment';
export { replayPaymentWebhooks } from './replay-payment-webhooks/replay-payment-webhooks';
export { replayStripeEvents } from './replay-stripe-events/replay-stripe-events';
