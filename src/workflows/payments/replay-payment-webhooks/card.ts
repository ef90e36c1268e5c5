import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const replayPaymentWebhooksCard = card({
  name: 'replayPaymentWebhooks',
  title: 'Replay payment webhooks that failed',
  area: 'payments',
  priority: 'P1',
  from: ['travel: 7.3 Payment webhook failure'],
  symptoms: [
    'the event log of payment webhooks has events that failed, with an error',
    'payments are taken and bookings stay unpaid; payouts are late',
  ],
  impact:
    'customers have paid for what they do not get; the ledger does not say what happened, and payouts wait',
  diagnosis: [
    'events of the log that failed, with the last error of each; two with one payload or one ID are one event',
    'in the beginning of the act, whether the application takes a signed event: secret and handler',
    'ledger entries of the events that were applied, and payout jobs that are overdue',
  ],
  resolution: [
    'a secret or a handler that refuses a signed event: a task for a person first, which ends by itself once events are taken',
    'have the application apply each failed event of the plan, the oldest first, a few as a trial before the others, and none that was applied meanwhile',
    'never replay a row whose event another row has applied: it is named, and stays as it is',
    'verify that each was applied, and that its ledger entries are there, once',
    'ledger entries that are missing or too many, and payout jobs that are overdue: a task for a person',
  ],
  prevention: [
    'an alert on events that failed',
    'secrets that overlap when they are changed; a handler that applies an event and its ledger entries in one transaction, by the ID of the event',
  ],
  escalation: [
    'events that stay failed, a ledger that does not add up, payouts that are overdue: a task that names them, up the ladder where nobody takes it',
  ],
  changes:
    'what the application does when it applies an event, which cannot be taken back; this run itself writes nothing',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
