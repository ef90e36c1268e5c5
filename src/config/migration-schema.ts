import { z } from 'zod';
import { commandSchema } from './primitives';

const LAYOUTS = ['flat', 'diesel', 'golang-migrate', 'prisma', 'drizzle', 'supabase', 'flyway'] as const;

/** How the files of migrations are called and ordered. */
export type LayoutName = (typeof LAYOUTS)[number];

export const migrationsSchema = z
  .strictObject({
    directory: z.string().default('migrations').describe('folder of the SQL files, relative to this file'),
    layout: z
      .enum(['auto', ...LAYOUTS])
      .default('auto')
      .describe(
        'how they are called and ordered: flat (NAME.sql, NAME.down.sql), diesel (NAME/up.sql, NAME/down.sql), golang-migrate (1_NAME.up.sql, 1_NAME.down.sql), prisma (NAME/migration.sql), drizzle (meta/_journal.json), supabase (TIMESTAMP_NAME.sql), flyway (V1.2__NAME.sql, U1.2__NAME.sql). auto: as the files show, and refused where they could be several',
      ),
    role: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe(
        'role that the SQL files run as (SET ROLE), so that what they make belongs to it; the role of the URL must be a member. Default: the role of the URL',
      ),
    command: commandSchema
      .optional()
      .describe('a migration tool instead of SQL files; it gets DATABASE_URL, and no fence covers it'),
    ledgerQuery: z
      .string()
      .optional()
      .describe(
        "a SELECT over another tool's own table with one column: names, or SHA-256 of the scripts, already applied. With files they count as applied; with `command` it says what was done",
      ),
    lockTimeoutMs: z
      .number()
      .int()
      .min(10)
      .max(10_000)
      .default(500)
      .describe('how long one try waits for a lock; then the others pass, and it tries again'),
    maxLockHoldSeconds: z
      .number()
      .positive()
      .max(86_400)
      .default(5)
      .describe('a migration that keeps others waiting for longer than this in all is stopped and undone'),
    lockDeadlineSeconds: z
      .number()
      .positive()
      .max(86_400)
      .default(600)
      .describe('how long it goes on trying'),
    statementTimeoutSeconds: z
      .number()
      .positive()
      .max(86_400)
      .default(900)
      .describe('how long one statement may take'),
    lintIgnore: z.array(z.string()).default([]).describe('Squawk rules that do not count here'),
    maxReplicaLagSeconds: z
      .number()
      .positive()
      .default(30)
      .describe(
        'no file is begun while a physical replica is further behind; for `lockDeadlineSeconds` at most',
      ),
  })
  .refine(({ command, role }) => command === undefined || role === undefined, {
    path: ['role'],
    message: 'counts for SQL files only: a command connects by itself, so give it the role there',
  })
  .describe('where migrations come from and how patient they are');
