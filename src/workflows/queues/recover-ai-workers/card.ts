import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const recoverAiWorkersCard = card({
  name: 'recoverAiWorkers',
  title: 'Get AI generation going again',
  area: 'queues',
  priority: 'P1',
  from: ['studio: AI Worker Failures'],
  symptoms: [
    'alert: generations time out, or more of them fail than the objective allows',
    'the API of OpenAI, Anthropic or another provider answers 5xx, 529 (overloaded) or 429 (rate limit)',
    'tasks of the generation queue wait or stay failed',
  ],
  impact: 'users wait for texts and pictures that do not come; each attempt of a task that fails is lost',
  diagnosis: [
    'why tasks failed, by configured patterns: timeout, rate limit with the time that the provider wants to be left alone, provider down, refused credentials or quota, bad input',
    'what the status page of each provider says, and which provider the workers use',
    'depth, delay and workers of the queue, and the configured measures',
  ],
  resolution: [
    'provider down or too slow: after one trial call at the next provider that is well switch to it, read back; without another one pause the queue, call people, wait until the provider is well, make one trial call, resume',
    'rate limit: have the workers ask less often by the configured change, else pause the queue, for as long as the provider wants; afterwards as usual again',
    'refused credentials or quota: the queue is paused and it is a task for a person; the run switches by itself only where the configuration names that as a reason',
    'put the tasks back that failed through the provider, by ID, each once whichever run it is: a few first, then ten times as many; never those that failed through their own input',
    'verify that what is begun from then on ends well, that delays and measures keep their objectives, that Redis still has the events and the count of jobs that it had, that health checks and smoke test hold',
  ],
  prevention: [
    'alerts on the share of generations that fail and on their duration',
    'a second provider, tried now and then, and limits of our own below those of the provider',
    'tasks that wait longer after each failure and respect Retry-After',
  ],
  escalation: [
    'a provider that is waited for: the first rung is paged at once; where it is not well for longer than configured, that is a task, which goes up the ladder',
    'more tasks that fail again after they were put back than the objective allows, a queue that does not drain, and data that Redis has lost: the ladder is paged',
  ],
  changes:
    'the provider of the workers, their pace, and whether the queue is paused: put back where the run fails; tasks that were put back are worked on and cost money, which cannot be taken back',
  input: { environment: databaseEnvironment.describe('environment whose generations fail') },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
