import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const resolveSlowResponsesCard = card({
  name: 'resolveSlowResponses',
  title: 'Resolve slow responses',
  area: 'application',
  priority: 'P2',
  from: ['assistant: Slow Response Times', 'travel: 4 SLOs and Alert Thresholds'],
  symptoms: [
    'the API takes more than 2 seconds to answer; p95 or p99 is out of its band',
    'requests time out, users complain',
  ],
  impact:
    'customers wait and leave; above the warning band something is done, what is only above the objective is reported',
  diagnosis: [
    'latency-p95 and latency-p99 against their bands; well, or well again when the alert was resolved meanwhile: nothing to do; not known: nothing is done, and why is said',
    'the pool of the application, sessions of the database idle in a transaction or in one query for too long; pool-utilisation below 80 %',
    'which deployment is in front, and how long before the trouble it came',
    'cache-hit-rate, above 70 %',
    'statements that take longer than `tuning.slowMs` on average, and what the application says of its queries',
    'cpu-utilisation',
  ],
  resolution: [
    'one remedy at a time, in the order of the diagnosis; what else speaks for something is on the timeline',
    'connections: relieveConnectionPool; a young deployment: rollBackDeployment; slow queries, missing indexes: tuneSlowQueries; each asks for its own approval',
    'a cache that is hardly hit: keep answers longer in it; busy processors: scale up; what is not configured is a task for a person',
    'wait until nothing of what was before counts any longer, verify that the numbers are within their bands, that no check fails and no more requests fail than before, and watch that it stays so',
    'what did not help is taken back before the next is tried; what helped, but not enough, stays',
    'nothing speaks for anything: page, and ask which of the configured remedies to try',
  ],
  prevention: [
    'an index with every migration that adds a search, and reviewIndexes every three months',
    'an alert on p95 below the time that customers bear',
    'a post-mortem: cause, evidence and remedy are in the report',
  ],
  escalation: [
    'a question or task that nobody answers goes up the ladder',
    'nothing helps: people are asked along the ladder, for hot paths and queries that no index helps',
  ],
  changes:
    'which deployment is in front, sessions of the database, indexes, how long the cache keeps answers, how large the service is, or a restart',
  input: { environment: databaseEnvironment.describe('environment whose application is meant') },
  example: { service: 'booking', startedBy: 'ana', reason: 'search takes seconds since noon' },
});
