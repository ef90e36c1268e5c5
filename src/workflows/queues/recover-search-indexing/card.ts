import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const recoverSearchIndexingCard = card({
  name: 'recoverSearchIndexing',
  title: 'Get search indexing going again',
  area: 'queues',
  priority: 'P2',
  from: ['travel: 7.4 Search indexing backlog'],
  symptoms: [
    'alert: changes take longer than 2 minutes to be found by the search',
    'jobs of the indexing queue wait or fail',
    'Meilisearch does not answer, e.g. on port 7700',
  ],
  impact:
    'customers search what is no longer so; what is new is not found; each attempt of a job that fails is lost',
  diagnosis: [
    'depth, delay and failed jobs of the queue that fills the index',
    'whether Meilisearch is available, how long its oldest open task waits, and why tasks failed within the last hour',
  ],
  resolution: [
    'Meilisearch down: pause the queue so that jobs do not use up their attempts, call people to bring it back, wait until it is available, resume',
    'retry the jobs that failed lately by ID, each once, a few of each reason first',
    'tasks that Meilisearch refused are a task for a person, with their reasons',
    'verify that the lag is within its objective and stays there, that Redis still has the events and the count of jobs that it had, that health checks and smoke test hold',
  ],
  prevention: [
    'an alert on the lag of the index, and on the health of Meilisearch',
    'jobs of the index that back off while Meilisearch is down',
  ],
  escalation: [
    'Meilisearch is down: the first rung is paged at once; where it stays down for longer than configured, that is a task, which goes up the ladder',
    'a lag that does not go down in time, and data that Redis has lost: the ladder is paged',
  ],
  changes:
    'the indexing queue is paused for as long as Meilisearch is down, and resumed by this run; jobs that were retried are worked on, which cannot be taken back',
  input: { environment: databaseEnvironment.describe('environment whose search is out of date') },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
