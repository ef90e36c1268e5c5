/** What runbooks may read from, and do to, a running application. */
import { z } from 'zod';
import { cronsSchema } from './cron-schema';
import { commandSchema, plainName, secretText } from './primitives';
import { rateLimitingSchema } from './rate-limit-schema';
import { releaseSchema } from './release-schema';

const endpoint = z
  .strictObject({
    url: secretText,
    headers: z.record(z.string(), secretText).default({}),
    timeoutMs: z.number().positive().default(5_000),
  })
  .describe('answers JSON to a GET');

const connectionLimitSchema = endpoint
  .extend({
    fields: z
      .strictObject({
        poolMax: z.string().default('poolMax'),
        poolUsed: z.string().default('poolUsed').describe('connections that work for somebody now'),
        poolWaiting: z
          .string()
          .default('poolWaiting')
          .describe('requests that wait for a connection; may be absent'),
      })
      .prefault({})
      .describe('dot paths of the numbers in the answer'),
  })
  .describe('answers JSON to a GET, also while the pool is exhausted');

const errorRateSchema = z.strictObject({
  url: secretText.describe('answers JSON'),
  field: z.string().default('errorRate').describe('dot path of a share between 0 and 1'),
  max: z.number().min(0).max(1).default(0.01).describe('the objective'),
  warning: z.number().min(0).max(1).default(0.05),
  critical: z.number().min(0).max(1).default(0.1),
  windowSeconds: z
    .number()
    .min(0)
    .max(3_600)
    .default(60)
    .describe('how far back it looks: a remedy is judged after that time'),
});

const rateLimitStatusSchema = endpoint
  .extend({
    field: z.string().default('refusedShare').describe('dot path of the share of requests that were refused'),
    max: z.number().min(0).max(1).default(0.05).describe('above it the limit is a cause of errors'),
    limit: z.string().optional().describe('dot path of the limit itself, which is shown to whoever decides'),
  })
  .describe('answers JSON to a GET, e.g. /api/rate-limit/status');

const rateLimitsSchema = z
  .strictObject({
    raise: commandSchema.describe('raises the limits; running it twice is harmless'),
    restore: commandSchema.describe('back to the usual limits'),
    minutes: z.number().positive().max(1_440).default(30).describe('how long they stay raised'),
  })
  .describe('raising the rate limits for a while');

const externalServiceSchema = z
  .strictObject({
    name: z.string().min(1),
    url: secretText.describe('its status page as JSON'),
    field: z.string().default('status.indicator').describe('dot path'),
    healthy: z.array(z.string()).default(['none', 'operational', 'ok']),
    contact: z.string().optional().describe('where its support is reached'),
    timeoutMs: z.number().positive().default(5_000),
  })
  .describe('something of somebody else that the application needs');

const featureSchema = z.strictObject({
  name: plainName.describe('a failing check of this name in the detailed health makes it the suspect'),
  disable: commandSchema.describe('running it twice is harmless'),
  enable: commandSchema,
});

const adjustmentSchema = z.strictObject({
  apply: commandSchema.describe('running it twice is harmless'),
  restore: commandSchema.describe('as it usually is; harmless where nothing was applied'),
  current: commandSchema
    .optional()
    .describe('prints what is set; where `apply` changes nothing of that, `restore` is not run'),
});

/** What gives an application more room, and can be taken back. */
export const ADJUSTMENTS = ['raiseCacheTtl', 'scaleUp', 'raiseMemoryLimit'] as const;
export type Adjustment = (typeof ADJUSTMENTS)[number];

export const applicationSchema = z
  .strictObject({
    health: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          url: secretText,
          timeoutMs: z.number().positive().default(5_000),
        }),
      )
      .default([]),
    errorRate: errorRateSchema.optional(),
    databaseUrl: secretText
      .optional()
      .describe('the DATABASE_URL that the application has; tried out and reviewed, never changed'),
    detailedHealth: endpoint.optional().describe('e.g. /api/health/detailed'),
    connectionLimit: connectionLimitSchema.optional().describe('e.g. /api/database/connection-limit'),
    slowQueries: endpoint.optional().describe('e.g. /api/performance/queries/slow'),
    queryRecommendations: endpoint.optional().describe('e.g. /api/performance/queries/recommendations'),
    queryStats: endpoint.optional().describe('e.g. /api/performance/queries/stats'),
    rateLimitStatus: rateLimitStatusSchema.optional(),
    externalServices: z.array(externalServiceSchema).default([]),
    restart: commandSchema.optional().describe('one instance after the other, where the platform can'),
    setPoolMax: commandSchema.optional().describe('POOL_MAX is in its environment'),
    features: z
      .array(featureSchema)
      .default([])
      .describe('features that can be switched off, least needed first'),
    raiseRateLimits: rateLimitsSchema.optional(),
    raiseCacheTtl: adjustmentSchema.optional().describe('what is in the cache stays there for longer'),
    scaleUp: adjustmentSchema.optional().describe('more instances, or larger ones'),
    raiseMemoryLimit: adjustmentSchema.optional().describe('more memory for each instance'),
    rateLimits: rateLimitingSchema.optional(),
    crons: cronsSchema,
    soakSeconds: z.number().min(0).max(86_400).default(60),
    soakEverySeconds: z.number().positive().default(10),
  })
  .describe('the application in front of the databases');

export const deploymentsSchema = z
  .strictObject({
    provider: z.literal('command').default('command'),
    list: commandSchema.describe(
      'prints a JSON array: {"id", "createdAt", "state": "ready|failed|building", "current": true|false, "version"?, "commit"?, "rolledBackAt"?, "url"?}; one with rolledBackAt is not gone back to; `url` is where it answers without being in front',
    ),
    promote: commandSchema.describe(
      'makes DEPLOYMENT_ID current; running it twice is harmless; may refuse a RUNBOOKS_FENCING_TOKEN lower than one it has seen',
    ),
    settleSeconds: z
      .number()
      .min(0)
      .max(3_600)
      .default(60)
      .describe('how long after `promote` the list may still show the former one'),
    suspectMinutes: z
      .number()
      .positive()
      .default(60)
      .describe('a deployment younger than this when errors began is suspected'),
    release: releaseSchema.optional(),
  })
  .describe('how versions of the application are listed and put in front');

export const connectionsSchema = z
  .strictObject({
    maxUtilisation: z.number().min(0.1).max(1).default(0.8),
    idleInTransactionSeconds: z.number().positive().default(60),
    longQuerySeconds: z.number().positive().default(300),
    graceSeconds: z
      .number()
      .min(0)
      .max(600)
      .default(10)
      .describe('between asking a session to stop and ending it'),
    protect: z
      .strictObject({
        users: z.array(z.string()).default([]),
        applications: z.array(z.string()).default([]),
      })
      .default({ users: [], applications: [] })
      .describe('sessions that are never touched'),
    poolStep: z.number().int().positive().default(5).describe('by how much the pool is raised at once'),
    reserve: z
      .number()
      .int()
      .min(0)
      .default(10)
      .describe('connections of the server that stay free for people'),
  })
  .describe('when the connections of a database are too many, and what may be done about it');

export const breakerSchema = z
  .strictObject({
    windowMinutes: z
      .number()
      .positive()
      .default(60)
      .describe('how far back runs for the same alert count; open until one has passed without a run for it'),
    maxRecurrences: z
      .number()
      .int()
      .positive()
      .default(3)
      .describe(
        'runs for the same alert within the window, whatever came of them; then: propose, and a page',
      ),
    cooldownMinutes: z
      .number()
      .min(0)
      .default(5)
      .describe('after a run for the same alert the next one waits this long before it looks'),
    flapLimit: z
      .number()
      .int()
      .positive()
      .default(5)
      .describe('runs within the window that found nothing to do; then: observe'),
    maxConcurrent: z
      .number()
      .int()
      .positive()
      .default(3)
      .describe(
        'runs of this service that alerts started, and as many that schedules did; those that wait for people do not count',
      ),
  })
  .describe('what keeps automation from doing the same again and again');

export type ApplicationConfig = z.infer<typeof applicationSchema>;
export type DeploymentsConfig = z.infer<typeof deploymentsSchema>;
export type ConnectionsConfig = z.infer<typeof connectionsSchema>;
export type BreakerConfig = z.infer<typeof breakerSchema>;
