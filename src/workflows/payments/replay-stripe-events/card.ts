import { z } from 'zod';
import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const replayStripeEventsCard = card({
  name: 'replayStripeEvents',
  title: 'Have Stripe send missing events again',
  area: 'payments',
  priority: 'P1',
  from: ['studio: Stripe Webhook Replay'],
  symptoms: [
    'report or alert: deliveries of Stripe to the webhook endpoint fail, or stay pending',
    'customers have paid, and the application does not know it; subscriptions say something else than Stripe',
  ],
  impact:
    'what was paid is not delivered, what was cancelled goes on; Stripe gives up after three days and forgets events after 30',
  diagnosis: [
    'events that Stripe could not deliver within 30 days, compared with those that the application has recorded',
    'whether the webhook endpoint is switched on, and in the beginning of the act whether the application takes a signed event',
    'payments that failed in those days, for people',
    'subscriptions whose status, customer or end of period are not those of Stripe',
  ],
  resolution: [
    'an endpoint that is switched off, or an application that takes no signed event: a task for a person first, which ends by itself once events are taken',
    'have Stripe send each missing event once more, the oldest first, a few as a trial before the others; one that is recorded by then is not sent',
    'wait until the application has recorded them; what has not come is sent again in a bounded number of rounds',
    'verify that each is recorded once',
    'correct subscriptions that still differ, row by row, from Stripe to the application only, in a plan of its own where events came before',
  ],
  prevention: [
    'an alert on failed deliveries, before Stripe gives up',
    'a handler that records the event by its ID and applies it in one transaction, and answers 2xx to one that it has already',
    'secrets that overlap when they are changed',
  ],
  escalation: [
    'events that never arrive, that Stripe refuses to send or has no more, and subscriptions that only one side knows: a task that names them, up the ladder where nobody takes it',
  ],
  changes:
    'Stripe sends events to the application, which cannot be taken back; rows of subscriptions and of the audit trail, put back exactly where the run fails, but not over what somebody changed since. Nothing is changed at Stripe',
  input: {
    environment: databaseEnvironment,
    events: z
      .array(z.string().regex(/^evt_\w{1,80}$/, 'the ID of an event of Stripe, evt_...'))
      .max(100)
      .default([])
      .describe('looked at besides, e.g. from a ticket, also where Stripe thinks that they were delivered'),
  },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
