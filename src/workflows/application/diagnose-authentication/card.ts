import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const diagnoseAuthenticationCard = card({
  name: 'diagnoseAuthentication',
  title: 'Find out why people cannot log in',
  area: 'application',
  priority: 'P1',
  from: ['booking: Authentication Issues', 'travel: 7.6 Authentication anomalies'],
  symptoms: [
    'people cannot log in',
    'logging in by a provider (OAuth) fails',
    'tokens are refused, or expire at once',
  ],
  impact: 'customers who are logged out stay outside, and soon everybody is',
  diagnosis: [
    'what the status page of the provider says',
    'callback URLs and names of credentials against those that are configured, never their values',
    'a test login: whether there is a token, and whether the application takes it',
    'the token: its times, issuer and audience, and whether a published signing key, which has not expired, proves it',
    'the clocks of the login and of the database against ours',
    'whether logins are refused because there are too many (429)',
  ],
  resolution: [
    'clear what the application remembers of logins where it refuses a token that is well, then put its configuration in place again, one after the other, with a test login after each',
    'a task for a person with the exact text for what only people can mend: callback URLs, credentials, keys, clocks, the provider; it ends by itself when that is well',
    'too many refused requests: the task names adjustRateLimits',
    'tell every channel what was found, and when logging in works again',
    'verify by a test login, health checks and the smoke test',
  ],
  prevention: [
    'an alert on failed logins, and a test login from outside',
    'signing keys that overlap when they are changed',
    'clocks that are kept by NTP, with an alert on their offset',
  ],
  escalation: [
    'a task that nobody does goes up the ladder',
    'what is still wrong after three tasks: a person takes over, with everything that was seen',
  ],
  changes:
    'each look makes a new session of the test account, also in mode observe; a cleared cache and a deployed configuration cannot be taken back',
  input: {
    environment: databaseEnvironment.describe('environment whose application people log in to'),
  },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
