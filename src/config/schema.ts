/**
 * The shape of `runbooks.yaml`. Everything a runbook knows about one's own systems stands here;
 * the JSON Schema for editors is generated from it.
 */
import { z } from 'zod';
import { alertsSchema } from './alert-schema';
import { approvalSchema } from './approval-schema';
import { backupsSchema, canarySchema, restoreSchema, type offsiteSchema } from './backup-schema';
import { checklistSchema } from './checklist-schema';
import { observeSchema } from './measure-schema';
import { migrationsSchema } from './migration-schema';
import { notificationSchema } from './notification-schema';
import { applicationSchema, breakerSchema, connectionsSchema, deploymentsSchema } from './operation-schema';
import { type commandSchema, modeSchema, plainName, secretText, serviceName } from './primitives';
import { scheduleSchema } from './schedule-schema';
import { serverSchema } from './server-schema';
import { smokeSchema } from './smoke-schema';
import { telemetrySchema } from './telemetry-schema';
import { temporalSchema } from './temporal-schema';
import { tuningSchema, vacuumSchema } from './tuning-schema';

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
    server: serverSchema.optional(),
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

export const environmentSchema = z
  .strictObject({
    database: databaseSchema,
    application: applicationSchema.optional(),
    observe: observeSchema.optional(),
    smoke: smokeSchema.optional(),
    checklist: checklistSchema.optional(),
  })
  .describe('one environment of a service, e.g. production or staging');

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
    tuning: tuningSchema.prefault({}),
    vacuum: vacuumSchema.prefault({}),
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
    temporal: temporalSchema,
    telemetry: telemetrySchema.optional(),
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
          .describe(
            'runs that alerts started, of all services together; those that wait for people do not count',
          ),
        maxConcurrentScheduled: z
          .number()
          .int()
          .positive()
          .default(10)
          .describe('runs that schedules started, of all services together'),
        sickServices: z
          .number()
          .int()
          .positive()
          .default(3)
          .describe(
            'services within an hour of which a breaker opened or a run that nobody started ended badly; then everything is paused, and the ladder of the last of them is paged',
          ),
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
        shutdownGraceSeconds: z
          .number()
          .int()
          .min(0)
          .max(86_400)
          .default(600)
          .describe(
            'how long a worker that is told to stop lets its steps go on, e.g. a dump; then they are cancelled, and begin again on another worker. What ends it from outside has to wait longer',
          ),
        tuner: z
          .strictObject({
            targetMemoryUsage: z
              .number()
              .gt(0)
              .max(1)
              .default(0.8)
              .describe('share of the memory of the machine or container'),
            targetCpuUsage: z.number().gt(0).max(1).default(0.9).describe('share of its processors'),
            maxActivities: z.number().int().positive().default(100).describe('never more at once than that'),
          })
          .optional()
          .describe(
            'takes steps while memory and processors allow it. Default: 20 at once, beside those that need the disk of this host',
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
