import type * as Made from '../activities/payments';
import { paymentsSettings } from '../activities/payments/settings';
import { definePack } from '../doors/pack';
import { reconcilePaymentCard } from '../workflows/payments/reconcile-payment/card';
import { replayPaymentWebhooksCard } from '../workflows/payments/replay-payment-webhooks/card';
import { replayStripeEventsCard } from '../workflows/payments/replay-stripe-events/card';

/** Payments, and what their providers say of them. */
export const paymentsPack = definePack({
  name: 'payments',
  cards: [reconcilePaymentCard, replayStripeEventsCard, replayPaymentWebhooksCard],
  workflows: require.resolve('../workflows/payments'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createPaymentActivities } = require('../activities/payments') as typeof Made;
    return createPaymentActivities(deps);
  },
  settings: paymentsSettings,
});
