import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const relieveMemoryPressureCard = card({
  name: 'relieveMemoryPressure',
  title: 'Relieve memory pressure',
  area: 'application',
  priority: 'P2',
  from: ['assistant: Memory Leaks'],
  symptoms: [
    'memory in use rises from hour to hour',
    'the service ends after it has run for long; "out of memory"',
  ],
  impact: 'the service becomes slow, is ended by its platform, and what was under way is lost',
  diagnosis: [
    'memory-utilisation (level) and memory-growth (trend) against their bands; well: nothing to do; not known: nothing is done, and why is said',
    'connections that nobody closes: the pool of the application, sessions of the database idle in a transaction',
    'which deployment is in front, and how long before the trouble it came',
    'cache-utilisation: how far a cache is from its limit',
    'what the detailed health of the application says',
  ],
  resolution: [
    'one remedy at a time, in the order of the diagnosis; what else speaks for something is on the timeline',
    'connections: relieveConnectionPool; a young deployment: rollBackDeployment; each asks for its own approval',
    'memory that grows: restart the application, one instance after the other where the platform can',
    'memory that is short and does not grow: raise its limit; a cache at its limit, and what is not configured: a task for a person',
    'wait until nothing of what was before counts any longer, verify level and trend, that no check fails and no more requests fail than before, and watch that it stays so: right after a restart every trend looks well',
    'what did not help is taken back, as far as it can be, before the next is tried; what helped, but not enough, stays',
    'nothing speaks for anything: page, and ask which of the configured remedies to try',
  ],
  prevention: [
    'limits for every cache, and a heap snapshot before the restart where the platform can take one',
    'an alert on the trend: it is known hours before the end',
    'a post-mortem: cause, evidence and remedy are in the report',
  ],
  escalation: [
    'a question or task that nobody answers goes up the ladder',
    'nothing helps, e.g. memory that grows again after the restart: people are asked along the ladder, for the leak in the code',
  ],
  changes: 'which deployment is in front, sessions of the database, the limit of the memory, or a restart',
  input: { environment: databaseEnvironment.describe('environment whose application is meant') },
  example: { service: 'booking', startedBy: 'ana', reason: 'restarted by the platform twice tonight' },
});
