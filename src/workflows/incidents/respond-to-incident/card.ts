import { z } from 'zod';
import { card } from '../../../doors/pack';

const words = (max: number) => z.string().trim().min(1).max(max);

export const respondToIncidentCard = card({
  name: 'respondToIncident',
  title: 'Respond to an incident',
  area: 'incidents',
  priority: 'P0',
  from: [
    'appointments: 1 Incident triage',
    'assistant: Incident Response',
    'travel: 6 Incident Response',
    'travel: 10 Postmortems',
  ],
  symptoms: [
    'a page, a red health check, or an error rate above its band',
    'customers report that something is broken: bookings fail, availability is empty, mails are missing',
    'data may be lost or wrong, or somebody got in',
  ],
  impact: 'nobody leads, nobody is told, and what was learned is lost',
  diagnosis: [
    'health, error rate, further checks such as continuous integration and pull requests, recent deployments',
    'errors in the log: the most frequent, with stack traces and IDs of requests',
    'severity: the worst of what was said and what was measured, with the reason on the timeline',
    'which runbook belongs to the labels of the alert or to what triage found',
  ],
  resolution: [
    'page, and climb the ladder until somebody acknowledges; name a commander',
    'start the matching runbook and show what came of it',
    'tell everybody at a fixed beat: start, impact, scope, commander, what is being done, time of the next update',
    'resolved only when health and error rate hold and no runbook is open; the commander may override with a reason',
  ],
  prevention: [
    'post-mortem for P0 and P1, drafted from the history: timeline, root cause, impact, what worked, what failed',
    'a meeting within 48 hours; action items with owner and day, missing tests and docs among them',
    'reminders until every action item is closed',
  ],
  escalation: [
    'not acknowledged within the response time of its severity: the next of the ladder',
    'P0 unresolved after 30 minutes, P1 after 2 hours: the next of the ladder',
  ],
  changes: 'nothing itself; the runbook that it starts changes what its own plan says',
  coordinates: true,
  input: {
    environment: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,30}$/, 'an environment of the service, e.g. "production"')
      .default('production')
      .describe('environment that is measured'),
    title: words(200).optional().describe('what is wrong, in one line; default: the title of the alert'),
    severity: words(40)
      .optional()
      .describe('P0 ... P3, or a word of the service’s own scale; what is measured can only make it worse'),
    impact: words(1_000).optional().describe('what users notice'),
    scope: words(1_000).optional().describe('who and what is affected'),
    finding: words(200)
      .optional()
      .describe('chooses the runbook to start, where the service has a rule for it'),
    runbook: z.boolean().default(true).describe('start the matching runbook'),
    postmortem: z.boolean().default(false).describe('ask for a post-mortem whatever the severity'),
  },
  example: {
    service: 'booking',
    title: 'Checkout fails',
    severity: 'P1',
    impact: 'about one booking in five fails',
    startedBy: 'ana',
  },
});
