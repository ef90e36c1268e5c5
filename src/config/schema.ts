/**
 * The shape of `runbooks.yaml`. Everything a runbook knows about one's own systems stands here;
 * the JSON Schema for editors is generated from it.
 */
import { z } from 'zod';
import { alertsSchema } from './alert-schema';
import { notificationSchema } from './notification-schema';
import { applicationSchema, breakerSchema, connectionsSchema, deploymentsSchema } from './operation-schema';
import { commandSchema, modeSchema, plainName, secretText, serviceName } from './primitives';
import { scheduleSchema } from './schedule-schema';

export { modeSchema, serviceName } from './primitives';
export type { NotificationConfig } from './notification-schema';

const databaseSchema = z
  .strictObject({
    provider: z.literal('postgres').default('postgres'),
    url: secretText.describe('postgresql:// URL of a direct connection, not of a transaction-mode pooler'),
    identity: z
      .strictObject({
        systemIdentifier: z
          .string()
          .regex(/^\d{10,20}$/)
          .describe('pg_control_system().system_identifier'),
        database: z.string().min(1),
      })
      .describe('checked in the same session before anything is changed; `runbooks check` prints it'),
  })
  .describe('one PostgreSQL database');

const invariantSchema = z
  .strictObject({
    name: z.string().min(1),
    sql: z
      .string()
      .min(1)
      .describe('a SELECT that returns no row when all is well; its rows are the violations'),
  })
  .describe('a statement about the data that must always hold');

const migrationsSchema = z
  .strictObject({
    directory: z
      .string()
      .default('migrations')
      .describe('SQL files `NAME.sql` with optional `NAME.down.sql`'),
    command: commandSchema
      .optional()
      .describe('a migration tool instead of SQL files (Prisma, Drizzle ...); it gets DATABASE_URL'),
    ledgerQuery: z
      .string()
      .optional()
      .describe("with `command`: a SELECT over the tool's own table with one column: names already applied"),
    lockTimeoutMs: z.number().int().min(10).max(10_000).default(500),
    maxLockHoldSeconds: z
      .number()
      .positive()
      .max(86_400)
      .default(5)
      .describe('a migration that keeps others waiting for longer than this in all is stopped and undone'),
    lockDeadlineSeconds: z.number().positive().max(86_400).default(600),
    statementTimeoutSeconds: z.number().positive().max(86_400).default(900),
    lintIgnore: z.array(z.string()).default([]).describe('Squawk rules that do not count here'),
    maxReplicaLagSeconds: z.number().positive().default(30),
  })
  .describe('where migrations come from and how patient they are');

const periods = z.number().int().min(0).max(10_000).default(0);

const retentionSchema = z
  .strictObject({
    daily: periods.describe('the newest backup of each of so many days, in UTC, that have one'),
    weekly: periods.describe('the same by weeks, which begin on Monday'),
    monthly: periods.describe('the same by months'),
    maxAgeDays: z
      .number()
      .positive()
      .optional()
      .describe('what is older goes, except the newest and the last proven one; default: no such age'),
  })
  .describe('what is kept beside the newest ones: grandfather, father, son');

const offsiteSchema = z
  .strictObject({
    kind: z.literal('s3').default('s3').describe('any storage that speaks S3'),
    bucket: z.string().min(3).max(255),
    prefix: z
      .string()
      .regex(/^([A-Za-z0-9._-]+\/)*$/, 'folders that end with a slash, e.g. "backups/"')
      .default('')
      .describe('folder in the bucket, e.g. "backups/"'),
    region: z.string().min(1).default('us-east-1'),
    endpoint: z.url().optional().describe("address of another storage than Amazon's"),
    forcePathStyle: z
      .boolean()
      .default(false)
      .describe('the bucket stands in the path, as most other storages want it'),
    accessKeyId: secretText.optional(),
    secretAccessKey: secretText
      .optional()
      .describe('default of both: where every AWS tool looks, e.g. the role of the machine'),
    serverSideEncryption: z.enum(['AES256', 'aws:kms']).optional().describe('default: what the bucket does'),
    kmsKeyId: z.string().min(1).optional(),
    prune: z
      .boolean()
      .default(true)
      .describe('false: rules of the bucket delete old copies, and the credentials need no right to delete'),
    objectLockDays: z
      .number()
      .int()
      .positive()
      .max(36_500)
      .optional()
      .describe('nobody can delete a copy before; the bucket must have been made with Object Lock'),
  })
  .refine(
    ({ accessKeyId, secretAccessKey }) => (accessKeyId === undefined) === (secretAccessKey === undefined),
    {
      message: 'accessKeyId and secretAccessKey go together',
    },
  )
  .describe('where every backup is copied to, and fetched from where the disk of the worker is gone');

const backupsSchema = z
  .strictObject({
    directory: z.string().describe('where backups are kept; absolute or relative to this file'),
    jobs: z.number().int().min(1).max(64).default(2),
    compression: z
      .union([
        z.number().int().min(0).max(9),
        z.string().regex(/^zstd(:([1-9]|1\d|2[0-2]))?$/, 'a gzip level from 0 to 9, "zstd", or "zstd:3"'),
      ])
      .default(1)
      .describe(
        'gzip level, 0 for none, or zstd with a level, e.g. "zstd:3", which needs client programs of 16',
      ),
    keep: z
      .number()
      .int()
      .min(1)
      .default(7)
      .describe('proven backups that are kept, and as many unproven ones; the last proven one never goes'),
    retention: retentionSchema.prefault({}),
    maxAgeHours: z
      .number()
      .positive()
      .default(26)
      .describe('checkBackups fails when the newest backup is older'),
    provenMaxAgeHours: z
      .number()
      .positive()
      .optional()
      .describe('checkBackups fails when no backup was restored for so long; default: it only says when'),
    minSizeRatio: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('a backup smaller than this share of the previous one is refused'),
    offsite: offsiteSchema.optional(),
    contentDigest: z
      .boolean()
      .default(false)
      .describe('digest the contents of every table, so that a restore is compared with them value by value'),
    upload: commandSchema
      .optional()
      .describe(
        'a command that copies a finished backup off site, where S3 is none; BACKUP_PATH and BACKUP_ID are in its environment',
      ),
    fetch: commandSchema
      .optional()
      .describe('the way back of `upload`: fills the empty folder BACKUP_PATH with the backup BACKUP_ID'),
  })
  .describe('logical backups');

const restoreSchema = z
  .strictObject({
    scratchDirectory: z
      .string()
      .optional()
      .describe('where disposable clusters live; default: a folder of the worker'),
    scratchTtlHours: z.number().positive().max(720).default(24),
    rtoMinutes: z.number().positive().default(60).describe('recovery time objective'),
    rpoMinutes: z.number().positive().default(1_500).describe('recovery point objective'),
    requiredTables: z
      .array(z.string())
      .default([])
      .describe('must exist after a restore; empty only if they were'),
    smoke: commandSchema.optional().describe('runs with DATABASE_URL of the restored copy'),
    stopWrites: commandSchema.optional().describe('before a restored copy takes over, e.g. maintenance mode'),
    resumeWrites: commandSchema.optional().describe('takes back what stopWrites did'),
    switchTraffic: commandSchema
      .optional()
      .describe('after the swap, e.g. reconnect poolers, restart the service'),
  })
  .refine(({ stopWrites, resumeWrites }) => stopWrites === undefined || resumeWrites !== undefined, {
    path: ['resumeWrites'],
    message: 'stopWrites needs a resumeWrites, or nothing could take writes again',
  })
  .describe('drills, restores and what they must achieve');

const canarySchema = z
  .strictObject({
    enabled: z.boolean().default(true),
  })
  .describe('a row written before each backup that a restore must contain');

export const environmentSchema = z
  .strictObject({
    database: databaseSchema,
    application: applicationSchema.optional(),
    smoke: commandSchema.optional(),
  })
  .describe('one environment of a service, e.g. production or staging');

const approvalSchema = z
  .strictObject({
    fourEyes: z.boolean().default(false).describe('whoever started a run cannot approve it'),
    approvers: z.array(z.string()).default([]).describe('names that may approve; empty: anyone'),
    expiresAfterMinutes: z.number().positive().default(240).describe('an expired approval is a denied one'),
    escalateAfterMinutes: z.number().positive().default(15),
    humanWaitHours: z
      .number()
      .positive()
      .default(24)
      .describe('how long a run that needs a person waits for one'),
  })
  .describe('who may say yes, and for how long the question stands');

const environmentsOf = (schema: typeof environmentSchema) =>
  z
    .record(z.string().regex(/^[a-z][a-z0-9-]{0,30}$/), schema)
    .refine((all) => 'production' in all, 'a service needs an environment called "production"');

export const serviceSchema = z
  .strictObject({
    environments: environmentsOf(environmentSchema),
    migrations: migrationsSchema.default(() => migrationsSchema.parse({})),
    backups: backupsSchema.optional(),
    restore: restoreSchema.default(() => restoreSchema.parse({})),
    canary: canarySchema.default(() => canarySchema.parse({})),
    invariants: z.array(invariantSchema).default([]),
    approval: approvalSchema.default(() => approvalSchema.parse({})),
    deployments: deploymentsSchema.optional(),
    connections: connectionsSchema.prefault({}),
    breaker: breakerSchema.prefault({}),
    notify: z.array(notificationSchema).default([]),
    escalation: z
      .array(z.strictObject({ name: z.string().min(1), notify: z.array(z.string()).min(1) }))
      .default([])
      .describe('the ladder: who is told first, second, third'),
    mode: modeSchema.default('propose').describe('the highest mode for every runbook of this service'),
    modes: z.record(z.string(), modeSchema).default({}).describe('the highest mode by runbook name'),
    maxDestructive: z
      .number()
      .int()
      .positive()
      .default(100)
      .describe('cap on the targets of one destructive action'),
  })
  .describe('a service that runbooks operate');

export const configSchema = z
  .strictObject({
    $schema: z.string().optional(),
    temporal: z
      .strictObject({
        address: z
          .string()
          .optional()
          .describe('default: the Temporal environment configuration, else 127.0.0.1:7233'),
        namespace: z.string().optional(),
        taskQueue: z.string().default('runbooks'),
        uiUrl: z.string().optional().describe('base address of the Temporal UI, for links'),
      })
      .default({ taskQueue: 'runbooks' }),
    postgresBin: z
      .string()
      .optional()
      .describe('folder of pg_dump and friends; default: PG_BIN, PATH, usual folders'),
    packs: z
      .array(z.string().min(1))
      .default([])
      .describe('runbooks of others: names of packages, or folders relative to this file'),
    services: z.record(serviceName, serviceSchema),
    limits: z
      .strictObject({
        maxConcurrent: z
          .number()
          .int()
          .positive()
          .default(10)
          .describe('runs that nobody started, of all services together'),
        sickServices: z
          .number()
          .int()
          .positive()
          .default(3)
          .describe('services whose breaker opened within an hour; then everything is paused, and paged'),
      })
      .prefault({}),
    alerts: alertsSchema.prefault({}),
    schedules: z.record(plainName, scheduleSchema).default({}),
    worker: z
      .strictObject({
        listen: z
          .string()
          .regex(/^[^\s:]+:\d{1,5}$/, 'host:port')
          .optional()
          .describe('host:port of /health/live, /health/ready and /metrics of the worker; default: none'),
        host: z
          .string()
          .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'letters, digits, dots, dashes and underscores')
          .optional()
          .describe(
            'name of the disk that the worker works on. Backups and disposable clusters lie there, and steps that need them go to a worker of that name. Default: the name of the machine with a hash of the folders of cache and configuration',
          ),
        hostLostSeconds: z
          .number()
          .int()
          .positive()
          .max(3_600)
          .default(60)
          .describe(
            'how long a step waits for a worker of the host whose disk it needs, before the host counts as lost and the step is done again on another one, where that can be. Longer than a restart of the worker takes',
          ),
        deploymentName: z
          .string()
          .regex(/^[A-Za-z0-9][A-Za-z0-9_/-]{0,99}$/, 'letters, digits, dashes, underscores and slashes')
          .optional()
          .describe(
            'name of the Worker Deployment in Temporal. Switches Worker Versioning on: a run ends on the version that it began on, and new ones go to the version that `runbooks versions set-current` named. Default: none, and a new release must be able to go on with the runs of the one before',
          ),
      })
      .prefault({}),
  })
  .describe('durable-runbooks configuration');

/** The schema with more fields of a service and of an environment. */
export function configSchemaOf(more: {
  service: z.ZodRawShape;
  environment: z.ZodRawShape;
}): typeof configSchema {
  const environment = extended(environmentSchema, more.environment);
  const service = extended(serviceSchema, {
    environments: environmentsOf(environment),
    ...more.service,
  });
  return extended(configSchema, { services: z.record(serviceName, service) });
}

function extended<T extends z.ZodObject>(schema: T, more: z.ZodRawShape): T {
  return schema.extend(more).describe(schema.description ?? '') as unknown as T;
}

export type Config = z.infer<typeof configSchema>;
export type ServiceConfig = z.infer<typeof serviceSchema>;
export type EnvironmentConfig = z.infer<typeof environmentSchema>;
export type DatabaseConfig = z.infer<typeof databaseSchema>;
export type OffsiteConfig = z.infer<typeof offsiteSchema>;
export type CommandConfig = z.infer<typeof commandSchema>;
