import { card, z } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

const key = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'a key of a row, as the ticket names it');

export const reconcilePaymentCard = card({
  name: 'reconcilePayment',
  title: 'Reconcile the payments of a booking',
  area: 'payments',
  priority: 'P1',
  from: ['booking: Payment Mismatch'],
  symptoms: [
    'a payment succeeded at the provider and not in the application, or the other way round',
    'a customer was charged and the booking is still pending',
    'a customer was charged twice; a webhook was applied twice, or replayed',
  ],
  impact: 'somebody has paid for nothing or got something for nothing, and every day it is harder to explain',
  diagnosis: [
    'every payment of the booking: state, reference of the provider, hash of the webhook, and its audit trail',
    'what the provider says of each; a word that nobody has explained is no answer',
    'whether the unique index is there that keeps a webhook from being applied twice, and whether one was',
    'what the booking is at: read for the report, and never changed',
  ],
  resolution: [
    'give a payment the state that its provider says, where the application allows that transition, and write it into the audit trail in the same transaction',
    'a payment that somebody changed after the plan was made is left alone and named',
    'money that was taken twice: what the application has applied stays, and the other payment is refunded when a person has decided so, also in mode auto; both payments are looked at again right before, and no attempt of any run refunds it twice',
    'tell the customer what became of it, by the configured operation, else it is a task for a person',
    'what no transition allows, another amount, a payment that the provider does not know: tasks for a person',
    'verify that application and provider agree, and that health checks and smoke test hold',
    'booking and slot are not touched: confirming a booking is a flow of its own',
  ],
  prevention: [
    'the unique index over the hash of webhooks: where it is missing, building it is a task of this run',
    'one way only to a new state of a payment, and through the same transitions',
    'an alert on payments that have been pending for long',
  ],
  escalation: [
    'a provider that does not answer: nothing is changed, and the run fails; where an alert or a schedule started the run, the first rung is called',
    'a refund that the provider does not show in time: a task, and up the ladder where nobody takes it',
  ],
  changes:
    'the state of payments and rows of the audit trail, put back exactly where the run fails, but not over what somebody changed since. A refund and a message to a customer stay',
  input: {
    environment: databaseEnvironment,
    booking: key.optional().describe('whose payments are meant; this or `payment`'),
    payment: key.optional().describe('one of them; all payments of its booking are looked at'),
  },
  example: {
    service: 'booking',
    environment: 'production',
    booking: '5b1f2c9e-8d3a-4c41-9f0e-2f6a7b1c9d10',
    startedBy: 'ana',
  },
});
