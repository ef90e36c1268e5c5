import { z } from 'zod';
import { environmentOf } from '../../config/load';
import { commandSchema } from '../../config/primitives';
import type { EnvironmentWith } from '../../config/settings';
import type { Place } from '../../contract/place';
import { identifier } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';

const variableName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'the name of an environment variable');

const tableName = z
  .string()
  .regex(/^[^.]{1,63}\.[^.]{1,63}$/, 'a table with its schema, unquoted, e.g. "public.bookings"');

export const corruptionSchema = z
  .strictObject({
    role: identifier.optional().describe('rows are put back as this role, which can write nothing else'),
    checks: z
      .array(
        z.strictObject({
          name: z.string().min(1).max(100),
          table: tableName,
          sql: z.string().min(1).describe('returns the primary keys of the rows that break it'),
        }),
      )
      .max(50)
      .default([])
      .describe('rules that rows must keep, beside foreign keys: which rows of which table break them'),
    leaveOut: z
      .array(tableName)
      .default([])
      .describe('tables whose rows the application deletes: what is missing in them is missing on purpose'),
    maxRows: z
      .number()
      .int()
      .min(1)
      .max(2_000)
      .default(1_000)
      .describe('where more is damaged, restoreDatabase is the way'),
    batchRows: z.number().int().min(1).max(1_000).default(100),
  })
  .prefault({})
  .describe('rows that were lost or spoiled, and are brought back from a backup');

export type CorruptionConfig = z.infer<typeof corruptionSchema>;

export const recoverySchema = z
  .strictObject({
    variables: z
      .strictObject({
        required: z
          .array(variableName)
          .min(1)
          .max(200)
          .describe('without these the application does not work'),
        list: commandSchema.describe(
          'prints the names of those that are set, one a line; what follows a "=" is not read',
        ),
      })
      .optional()
      .describe('environment variables of the application, looked at after a disaster'),
    corruption: corruptionSchema,
  })
  .describe('how a service is recovered after a disaster, and data after it was corrupted');

export type RecoveryConfig = z.infer<typeof recoverySchema>;

/** Sections of an environment. */
export const recoverySettings = { environment: z.object({ recovery: recoverySchema.optional() }) };

/** What recovering from corruption goes by; the defaults where nothing is configured. */
export function corruptionOf({ config }: ActivityDeps, { service, environment }: Place): CorruptionConfig {
  const { recovery } = environmentOf(config, service, environment) as EnvironmentWith<
    typeof recoverySettings
  >;
  return recovery?.corruption ?? corruptionSchema.parse(undefined);
}
