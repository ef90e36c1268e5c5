import type * as Made from '../activities/payments';
import { paymentsSettings } from '../activities/payments/settings';
import { definePack } from '../doors/pack';
import { reconcilePaymentCard } from '../workflows/payments/reconcile-payment/card';

/** Payments, and what their providers say of them. */
export const paymentsPack = definePack({
  name: 'payments',
  cards: [reconcilePaymentCard],
  workflows: require.resolve('../workflows/payments'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createPaymentActivities } = require('../activities/payments') as typeof Made;
    return createPaymentActivities(deps);
  },
  settings: paymentsSettings,
});
