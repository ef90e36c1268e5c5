import { card, plainName, z } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

const list = <T extends z.ZodType>(of: T) => z.array(of).max(50).default([]);

export const containSecurityIncidentCard = card({
  name: 'containSecurityIncident',
  title: 'Contain a security incident',
  area: 'security',
  priority: 'P0',
  from: ['booking: Security Incident', 'assistant: Security Breach'],
  symptoms: ['unauthorised access', 'a data breach', 'suspicious activity'],
  impact: 'somebody may read or change data of customers for as long as nobody shuts them out',
  diagnosis: [
    'logs are preserved first, with their SHA-256 in the report: nothing else is done before, unless a person says so',
    'the audit log in a window of time, by address and actor: how many entries, actions and people it concerns, in counts only',
  ],
  resolution: [
    'the security rung of the ladder is called, and an incident is opened, or joined, which asks for a post-mortem',
    'isolate as configured: addresses, actors, features, sessions, the whole application; what interrupts customers, or cannot be taken back, is asked first, and holds nothing else up',
    'rotate the secrets that are named, without a grace time, by rotateSecrets, while people think about that',
    'verify each isolation that can be probed, before and after, and health checks; of the others a person says whether they isolate',
    'tasks with deadlines: report to authorities, tell users, patches, the timeline',
    'a part that somebody denies, or that fails, is recorded, and the others go on',
    'what stays isolated is named at the end, with the exact way to end it',
  ],
  prevention: [
    'an alert on sessions that were never issued, and on refused sign-ins',
    'secrets rotated each quarter, and security updates as they come',
    'an isolation and its way back that were tried before they were needed',
  ],
  escalation: [
    'once the logs are preserved, or where they cannot be: the security rung of the ladder',
    'a part that failed, an isolation that waits for the lease of another run, and a task shortly before its deadline and at it: the rung is paged again',
  ],
  changes:
    'what the configured isolations change, and the secrets that are named; isolations stay until a person ends them',
  input: {
    environment: databaseEnvironment.describe('environment that somebody may have got into'),
    title: z
      .string()
      .trim()
      .min(1)
      .max(200)
      .default('Security incident')
      .describe('what was noticed, in one line'),
    addresses: list(z.string().regex(/^[0-9a-fA-F:.]{2,45}$/, 'an IP address')).describe(
      'from where it came',
    ),
    actors: list(z.string().regex(/^[\w.:@+][\w.:@+-]{0,99}$/, 'one user')).describe(
      'who it was, or whose account was used',
    ),
    from: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('looks at the audit log from then on; default: a day back'),
    to: z.iso.datetime({ offset: true }).optional().describe('and until then; default: now'),
    isolate: z
      .array(plainName)
      .max(50)
      .optional()
      .describe(
        'names of security.isolations, in the order wanted; default: all of them, in theirs; those that ask nobody come first',
      ),
    secrets: list(plainName).describe('secrets that may be known; each is rotated at once'),
  },
  example: {
    service: 'booking',
    title: 'Sessions that nobody issued',
    addresses: ['203.0.113.7'],
    secrets: ['session-signing'],
    startedBy: 'ana',
  },
});
