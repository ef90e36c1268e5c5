import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const relieveCpuSpikeCard = card({
  name: 'relieveCpuSpike',
  title: 'Relieve a CPU spike',
  area: 'application',
  priority: 'P2',
  from: ['assistant: CPU Spikes'],
  symptoms: ['processors are more than 80 % busy', 'responses are slow, or the service does not respond'],
  impact: 'everything waits for a processor: customers, health checks, and jobs',
  diagnosis: [
    'cpu-utilisation against its bands; well: nothing to do; not known: nothing is done, and why is said',
    'the pool of the application, sessions of the database idle in a transaction or in one query for too long',
    'which deployment is in front, and how long before the trouble it came',
    'loops that do not end: event-loop-utilisation; too much that is logged: log-rate',
    'statements that take longer than `tuning.slowMs` on average, and what the application says of its queries',
  ],
  resolution: [
    'one remedy at a time, in the order of the diagnosis; what else speaks for something is on the timeline',
    'connections: relieveConnectionPool; a young deployment: rollBackDeployment; slow queries: tuneSlowQueries; each asks for its own approval',
    'a loop: restart the application, one instance after the other where the platform can',
    'too much that is logged: a task for a person; the run goes on by itself when it is over',
    'nothing of that: scale up; what is not configured is a task for a person',
    'wait until nothing of what was before counts any longer, verify the level, that no check fails and no more requests fail than before, and watch that it stays so',
    'what did not help is taken back, as far as it can be, before the next is tried; what helped, but not enough, stays',
    'nothing that is left: page, and ask which of the configured remedies to try',
  ],
  prevention: [
    'profiles of hot paths, and load tests before releases',
    'limits for what one request may cost',
    'a post-mortem: cause, evidence and remedy are in the report',
  ],
  escalation: [
    'a question or task that nobody answers goes up the ladder',
    'nothing helps: people are asked along the ladder, for hot paths in the code',
  ],
  changes:
    'which deployment is in front, sessions of the database, indexes, how large the service is, or a restart',
  input: { environment: databaseEnvironment.describe('environment whose application is meant') },
  example: { service: 'booking', startedBy: 'ana', reason: 'all instances at 100 % since the campaign' },
});
