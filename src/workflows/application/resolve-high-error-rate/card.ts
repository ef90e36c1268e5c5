import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const resolveHighErrorRateCard = card({
  name: 'resolveHighErrorRate',
  title: 'Resolve a high error rate',
  area: 'application',
  priority: 'P1',
  from: ['booking: High Error Rate', 'assistant: High Error Rates'],
  symptoms: ['error rate above 5 %', 'many 500 errors, failed requests', 'complaints of users'],
  impact:
    'customers cannot search, book or pay; above 10 % it is critical, 5 to 10 % a warning, below only information',
  diagnosis: [
    'health and error rate against its bands; within the objective there is nothing to do, also when the alert was resolved meanwhile',
    'detailed health: which checks fail',
    'the database: does it answer, and are connections left for it and for the application',
    'status pages of services of others',
    'which deployment is in front, and how long before the errors it came',
    'how many requests the rate limit refuses',
    'errors in the log since shortly before it began: the most frequent, with stack traces and IDs of requests',
    'slow statements, and environment variables that are missing',
  ],
  resolution: [
    'one remedy at a time: what is measured now comes before what is only near in time',
    'the database is away, or a service of others is in trouble: a task with a prepared message; the run goes on by itself when it is over',
    'connections exhausted: relieveConnectionPool; a young deployment: rollBackDeployment; each asks for its own approval',
    'a feature whose check fails: switch it off; no answer at all: restart; requests refused: raise the limits for a while, which always asks, because limits also protect',
    'verify that health and error rate are well, and stay so; what did not help is undone before the next is tried',
    'nothing speaks for anything: page, and ask which of the configured remedies to try',
    'what the log says stands with every question and task; no remedy is chosen by it alone',
  ],
  prevention: [
    'smoke tests and a soak with every deployment; features behind switches',
    'a check in the detailed health for every feature, under its name',
    'a post-mortem: cause, evidence and remedy are in the report',
  ],
  escalation: [
    'a question or task that nobody answers goes up the ladder; what is unresolved for long goes up by respondToIncident, where that leads',
    'a service of others in trouble: a task, with the message to its support and the configured contact',
  ],
  changes:
    'which deployment is in front, sessions of the database, a feature, the rate limits for a while, or a restart',
  input: { environment: databaseEnvironment.describe('environment whose application is meant') },
  example: { service: 'booking', startedBy: 'ana', reason: 'many 500s since lunch' },
});
