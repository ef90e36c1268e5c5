import { z } from 'zod';
import { commandSchema, secretText } from './primitives';

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

export const offsiteSchema = z
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
    kmsKeyId: z.string().min(1).optional().describe('for aws:kms; default: the key of the account'),
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
  .refine(
    ({ kmsKeyId, serverSideEncryption }) => kmsKeyId === undefined || serverSideEncryption === 'aws:kms',
    {
      path: ['kmsKeyId'],
      message: 'counts with serverSideEncryption: aws:kms only',
    },
  )
  .describe('where every backup is copied to, and fetched from where the disk of the worker is gone');

export const backupsSchema = z
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
      .describe('checkBackups fails when the newest backup, or the newest copy off site, is older'),
    provenMaxAgeHours: z
      .number()
      .positive()
      .optional()
      .describe(
        'checkBackups fails when no backup was proven by a drill or a rehearsal for so long; default: it only says when',
      ),
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

export const restoreSchema = z
  .strictObject({
    scratchDirectory: z
      .string()
      .optional()
      .describe('where disposable clusters live; default: a folder of the worker'),
    scratchTtlHours: z
      .number()
      .positive()
      .max(720)
      .default(24)
      .describe('when a disposable cluster that nobody dropped is removed'),
    rtoMinutes: z
      .number()
      .positive()
      .default(60)
      .describe('recovery time objective: a drill whose measured and estimated time is longer fails'),
    rpoMinutes: z
      .number()
      .positive()
      .default(1_500)
      .describe('recovery point objective: a drill fails while the newest backup is older'),
    requiredTables: z
      .array(z.string())
      .default([])
      .describe('must exist after a restore; empty only if they were'),
    smoke: commandSchema
      .optional()
      .describe('runs with DATABASE_URL of the restored copy, in drills and in restores'),
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

export const canarySchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('false: it is written, and no restore has to contain it'),
  })
  .describe('a row written before each backup that a restore must contain');
