import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const replayWebhookDeliveriesCard = card({
  name: 'replayWebhookDeliveries',
  title: 'Send failed webhooks again',
  area: 'delivery',
  priority: 'P2',
  from: ['appointments: 2 Failed webhook delivery replay'],
  symptoms: [
    'deliveries of webhooks have failed and wait for another attempt, e.g. in GET /v0/webhooks',
    'receivers say that they hear of bookings late, or not at all',
  ],
  impact:
    'those who listen act on what is no longer so; a delivery that runs out of attempts never comes, and nobody sends it again',
  diagnosis: [
    'which deliveries have failed, where to, how often they were tried, and what was said: nothing is done where there is none',
    'after the rounds, for what still fails: the address (DNS, TLS, 404, 410), the secret (401, 403, the header of the signature), the receiver (5xx, 429, no answer), or what is sent (400, 422)',
    'a signed test event for each endpoint that still fails, where the application can send one',
  ],
  resolution: [
    'have the application send what is due, round by round, at most as many as configured, and not before a receiver wants it',
    'verify that attempts are made, and that each delivery ends: taken, or given up after a bounded number of attempts',
    'stop the rounds where only failures come back, because each one uses up an attempt',
    'what still fails is a task for a person, with the cause for each endpoint; the run goes on by itself when a test event is taken',
    'a round that answers 200 and sends nothing is found out; a backlog that does not shrink is said, and ends the run',
    'verify health checks and smoke test',
  ],
  prevention: [
    'an alert on deliveries that are overdue',
    'secrets that overlap when they are changed: receivers accept both for a while',
    'endpoints that answer 410 are switched off by the application',
  ],
  escalation: [
    'rounds that send nothing, and a backlog that does not shrink: the ladder is paged',
    'a task that nobody does goes up the ladder; deliveries that were given up are announced, because somebody has missed them',
  ],
  changes: 'what is due is sent to the receivers, which cannot be taken back; each attempt counts',
  input: {
    environment: databaseEnvironment.describe('environment whose application sends the webhooks'),
  },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
