import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const drainQueueBacklogCard = card({
  name: 'drainQueueBacklog',
  title: 'Drain the backlog of queues',
  area: 'queues',
  priority: 'P1',
  from: ['travel: 5 Daily and Shift Checklist', 'travel: 6 Incident Response'],
  symptoms: [
    'alert: jobs wait for longer than their objective, e.g. 30 s for bookings and notifications, 2 min for indexing',
    'alert: more than 0.5 % of the jobs of a queue fail',
  ],
  impact:
    'bookings are not confirmed, messages do not go out, the search is out of date; what has failed for good is not done at all',
  diagnosis: [
    'of every configured queue: depths by state, the delay of the oldest job, the failed share, workers, and what comes in beside what goes out',
    'why: paused by somebody, nobody works on it, it grows faster than it drains, it is worked on too slowly, or its jobs fail, with the most frequent reasons',
  ],
  resolution: [
    'start more workers by the configured command; without one, and where nobody works on a queue, that is a task for a person',
    'a queue that somebody paused is resumed only where a person says that this was a mistake',
    'pause non-critical queues while critical ones are late, and resume exactly those once they are not',
    'wait until no job waits for too long; a queue that grows faster than it drains is said, and people are called',
    'retry what failed lately by ID, each once: a few of each reason first, then ten times as many; a reason that comes back is asked about before more of it is retried',
    'verify that delays stay within their objectives for a while, that Redis still has the events and the count of jobs that it had, that health checks and smoke test hold',
  ],
  prevention: [
    'alerts on the delay of the oldest job and on the failed share of each queue',
    'Redis with appendonly and without eviction, so that a restart loses no jobs',
    'jobs that can be done twice without harm',
  ],
  escalation: [
    'a backlog that does not drain in time, and data that Redis has lost: the ladder is paged',
    'a question about jobs that fail again, or a paused queue, that nobody answers goes up the ladder',
  ],
  changes:
    'workers are scaled and non-critical queues paused, both taken back where the run fails; jobs that were retried are worked on, which cannot be taken back',
  input: { environment: databaseEnvironment.describe('environment whose queues are late') },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
