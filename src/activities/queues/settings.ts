import { z } from 'zod';
import { changeSchema } from '../../config/change-schema';
import { environmentOf } from '../../config/load';
import type { EnvironmentConfig } from '../../config/schema';
import { secretText } from '../../config/primitives';
import type { Place } from '../../contract/place';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { aiWorkersSchema, type AiWorkersConfig } from './ai/schema';

const PLACE = ['service', 'environment'];

const queueSchema = z
  .strictObject({
    name: z.string().regex(/^[^\s:]{1,100}$/, 'a name of a queue, without spaces and colons'),
    maxDelaySeconds: z.number().positive().default(30).describe('how long a job may wait: the objective'),
    maxFailedShare: z
      .number()
      .min(0)
      .max(1)
      .default(0.005)
      .describe('of the jobs that ended within the window: the objective'),
    critical: z
      .boolean()
      .default(true)
      .describe('false: it may be paused for a while so that others get through'),
  })
  .describe('a queue of BullMQ');

const workersSchema = z
  .strictObject({
    scale: changeSchema(PLACE).describe('starts more workers; doing it twice is harmless'),
    restore: changeSchema(PLACE).describe('as many as usual; harmless where nothing was scaled'),
  })
  .describe('how more workers are started, and the way back');

const holdsSchema = z
  .strictObject({
    queue: z.string().min(1).describe('has the job that releases holds, one of `names`'),
    idempotency: z
      .strictObject({
        key: z
          .string()
          .regex(/(?<!\$)\{(booking|key)\}/, 'a name with {booking} or {key} in it')
          .describe('in Redis: {booking} is the ID of a booking, {key} what its row has as idempotencyKey'),
        keptHours: z.number().positive().default(24).describe('older bookings have none any more'),
      })
      .optional(),
  })
  .describe('what releaseStuckHolds looks at beside the rows of bookings');

export const queuesSchema = z
  .strictObject({
    redis: z.strictObject({
      url: secretText.describe('redis:// or rediss://, with password and database where they are needed'),
      timeoutMs: z.number().positive().max(60_000).default(5_000),
    }),
    prefix: z.string().min(1).max(100).default('bull').describe('of the keys, as the application has it'),
    names: z
      .array(queueSchema)
      .min(1)
      .max(50)
      .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'each queue once'),
    workers: workersSchema.optional(),
    holds: holdsSchema.optional(),
    windowSeconds: z
      .number()
      .min(1)
      .max(3_600)
      .default(300)
      .describe('how far back rates and the failed share look, and how long delays are watched in the end'),
    patienceSeconds: z
      .number()
      .min(1)
      .max(7_200)
      .default(900)
      .describe('how long a backlog may take to drain before the run says that it does not'),
    trialJobs: z
      .number()
      .int()
      .min(1)
      .max(100)
      .default(5)
      .describe('failed jobs of each reason that are retried first'),
    retryHours: z
      .number()
      .positive()
      .max(8_760)
      .default(24)
      .describe('jobs that failed longer ago are left alone: nobody may want them any more'),
    maxRetries: z
      .number()
      .int()
      .min(1)
      .max(100_000)
      .default(10_000)
      .describe('failed jobs of one queue that one run retries; the others are for the next one'),
  })
  .describe('queues of BullMQ on Redis');

export const searchSchema = z
  .strictObject({
    queue: z.string().min(1).describe('the queue that fills the index, one of `queues.names`'),
    url: secretText.describe('base address of Meilisearch, e.g. http://meilisearch:7700'),
    apiKey: secretText.optional().describe('a key that may read tasks; without it those are not looked at'),
    timeoutMs: z.number().positive().max(60_000).default(5_000),
    maxLagSeconds: z
      .number()
      .positive()
      .default(120)
      .describe('from a change until it is in the index: the objective'),
    waitMinutes: z
      .number()
      .positive()
      .max(1_380)
      .default(60)
      .describe('how long a run waits for Meilisearch to come back before people are asked'),
  })
  .describe('the search index, and the queue that fills it');

export type QueuesConfig = z.infer<typeof queuesSchema>;
export type QueueConfig = QueuesConfig['names'][number];
export type SearchConfig = z.infer<typeof searchSchema>;

/** Sections of an environment. */
export const queuesSettings = {
  environment: z.object({
    queues: queuesSchema.optional(),
    search: searchSchema.optional(),
    aiWorkers: aiWorkersSchema.optional(),
  }),
};

export type Environment = EnvironmentConfig & {
  queues?: QueuesConfig;
  search?: SearchConfig;
  aiWorkers?: AiWorkersConfig;
};

/** Throws InvalidInput where there is none: nobody may guess which queues there are, and how fast they should be. */
export function queuesOf({ config }: ActivityDeps, { service, environment }: Place): QueuesConfig {
  const { queues } = environmentOf(config, service, environment) as Environment;
  if (queues !== undefined) return queues;
  throw fail(
    'InvalidInput',
    `services.${service}.environments.${environment}.queues is missing in runbooks.yaml: it says where Redis is and which queues there are. Add it, then start again.`,
  );
}

/** One queue of it. Throws InvalidInput where it is not among them. */
export function queueOf(settings: QueuesConfig, name: string): QueueConfig {
  const found = settings.names.find((one) => one.name === name);
  if (found !== undefined) return found;
  throw fail(
    'InvalidInput',
    `"${name}" is none of the queues of queues.names (${settings.names.map((one) => one.name).join(', ')}). Add it in runbooks.yaml, then start again.`,
  );
}

/** Throws InvalidInput where there is none. */
export function searchOf(deps: ActivityDeps, place: Place): SearchConfig {
  const { service, environment } = place;
  const { search } = environmentOf(deps.config, service, environment) as Environment;
  if (search === undefined)
    throw fail(
      'InvalidInput',
      `services.${service}.environments.${environment}.search is missing in runbooks.yaml: it says where Meilisearch is and which queue fills it. Add it, then start again.`,
    );
  queueOf(queuesOf(deps, place), search.queue);
  return search;
}

/** Throws InvalidInput where there is none: nobody may guess who generates, and which tasks those are. */
export function aiWorkersOf(deps: ActivityDeps, place: Place): AiWorkersConfig {
  const { service, environment } = place;
  const { aiWorkers } = environmentOf(deps.config, service, environment) as Environment;
  if (aiWorkers === undefined)
    throw fail(
      'InvalidInput',
      `services.${service}.environments.${environment}.aiWorkers is missing in runbooks.yaml: it says which queue has the tasks, and which providers there are. Add it, then start again.`,
    );
  queueOf(queuesOf(deps, place), aiWorkers.queue);
  return aiWorkers;
}
