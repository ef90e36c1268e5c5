import { card, z } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const adjustRateLimitsCard = card({
  name: 'adjustRateLimits',
  title: 'Adjust rate limits for a while',
  area: 'application',
  priority: 'P2',
  from: ['booking: Rate Limiting Issues', 'travel: 7.6 Authentication anomalies'],
  symptoms: [
    'customers are turned away with 429',
    'too many 429 answers',
    'a partner or an address of ours is refused',
  ],
  impact: 'who is refused cannot search or book; but limits that are too wide protect nobody',
  diagnosis: [
    'the limit, and the share of requests that it refuses, against what is allowed: nothing is done within it',
    'who is refused, how often, and whether that is an address of ours or of a partner, a customer, or unknown',
    'how many keys the store of the limiter has, e.g. in Redis: too many are said, and left to people',
  ],
  resolution: [
    'who is trusted by configuration is exempted alone, for a while, and nobody else',
    'otherwise a person says whether these are customers: exempt one of them, by a list or by a limit of its own, raise the limits of all, or leave them',
    'verify that fewer are refused, and health checks and smoke test; what did not help is taken back',
    'watch health for as long as it stays: limits that let too much through go back at once',
    'back to the usual limits after that time by itself, also where the run is cancelled',
    'where then too many are refused again, a task for a person: limits that fit for good',
  ],
  prevention: [
    'limits for each user instead of each address, where many sit behind one',
    'partners and addresses of our own in the configuration, as trusted',
    'an alert on the share of refused requests',
  ],
  escalation: [
    'limits that cannot be taken back, or wait for the lease of another run: the ladder is paged',
    'an attack: where a person says so, the ladder is paged, nothing is changed, and the run fails: the page stays open',
  ],
  changes: 'the rate limits of all, or an exception for one, for a while',
  input: {
    environment: databaseEnvironment.describe('environment whose application is meant'),
    who: z
      .string()
      .regex(/^[\w.:@+][\w.:@+-]{0,99}$/, 'one address or user')
      .optional()
      .describe('whom to exempt; default: found out'),
    exception: z
      .string()
      .regex(/^[a-z][a-z0-9-]{0,60}$/, 'a name of application.rateLimits.exceptions')
      .optional()
      .describe('which exception; default: the first that is configured'),
    minutes: z.number().positive().max(1_440).optional().describe('how long; default: as configured'),
  },
  example: { service: 'booking', who: '203.0.113.7', minutes: 30, startedBy: 'ana' },
});
