/** Steps that change payments, as the change log of a database names them. */
export const CORRECT_STEP = 'correct-payments';
export const RECORD_STEP = 'record-refunds';

/** What a payment can be, whatever an application or a provider calls it. */
export const PAYMENT_STATES = ['created', 'pending', 'succeeded', 'failed', 'refunded'] as const;
export type PaymentState = (typeof PAYMENT_STATES)[number];

/** Of the subscriptions that are put right from Stripe's. */
export const SUBSCRIPTIONS_STEP = 'correct-subscriptions';
