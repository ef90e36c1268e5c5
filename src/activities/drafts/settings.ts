import { z } from 'zod';
import { environmentOf, serviceOf } from '../../config/load';
import { changeSchema } from '../../config/change-schema';
import { operationSchema } from '../../config/http-operation-schema';
import { patternProblem } from '../../config/pattern';
import { placeholdersOf } from '../../config/placeholders';
import type { EnvironmentConfig, ServiceConfig } from '../../config/schema';
import type { Place } from '../../contract/place';
import { auditTable, column, identifier, state, tableOf } from '../postgres/repair/mapping-settings';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';

const tablesSchema = z
  .strictObject({
    drafts: tableOf('drafts', {
      owner: column('owner_id'),
      version: column('version').describe('a whole number that every save raises by one'),
      updatedAt: column('updated_at'),
      body: column('body'),
    }).prefault({}),
    attempts: tableOf('save_attempts', {
      draft: column('draft_id'),
      base: column('base_version').describe('the version of the draft that was being edited'),
      savedAt: column('saved_at'),
      body: column('body'),
      status: column('status'),
      error: identifier.optional(),
      session: column('session_id').describe(
        'who edited: of one editor only the newest attempt counts, two with one version are a conflict',
      ),
    })
      .prefault({})
      .describe('the journal of saves: one row for each that was tried'),
    audit: auditTable.optional(),
  })
  .describe('tables and columns of the application');

const statesSchema = z
  .strictObject({
    failed: z
      .array(z.string().min(1))
      .min(1)
      .default(['failed', 'conflict'])
      .describe('of attempts whose body was not stored'),
    salvaged: state('salvaged').describe('what the journal then says of one that was stored'),
    setAside: state('set_aside').describe('and of one that was not wanted'),
  })
  .describe('what the application calls its states');

const auditSchema = z.strictObject({
  entityType: z.string().default('draft'),
  source: z.string().default('system'),
  salvaged: z.string().default('draft_salvaged'),
  restored: z.string().default('draft_restored').describe('an undo; what it takes back stays written down'),
});

/** The kinds of errors that are told apart, by what their text contains. */
const KINDS = {
  'read-only database': 'read-only|25006',
  'full disk': 'no space left|disk full|53100',
  'size limit': 'too large|too long|413|22001|payload',
  conflict: 'conflict|409|version',
  timeout: 'time(d)? ?out|57014|504',
  'no connection': 'ECONN|connection|503|57P0',
  'missing right': 'permission|denied|401|403|42501',
};

export const KEEPS = ['newest', 'ask', 'both'] as const;

export const draftsSchema = z
  .strictObject({
    role: identifier
      .optional()
      .describe(
        'rows are changed as this role, of which that of the runbooks is a member and which can write nothing else',
      ),
    batchRows: z.number().int().min(1).max(5_000).default(100).describe('drafts of one transaction'),
    maxDrafts: z.number().int().min(1).max(1_000).default(500).describe('drafts of one run'),
    tables: tablesSchema.prefault({}),
    states: statesSchema.prefault({}),
    audit: auditSchema.prefault({}).describe('what its rows say'),
    keep: z
      .enum(KEEPS)
      .default('ask')
      .describe('which attempt becomes the draft where several editors had the same version'),
    maxQuestions: z
      .number()
      .int()
      .min(1)
      .max(50)
      .default(10)
      .describe('of one run; other conflicts are named'),
    windowMinutes: z.number().positive().max(1_440).default(10).describe('how far back saves are counted'),
    maxFailedShare: z.number().min(0).max(1).default(0.01).describe('above it saves fail'),
    minAttempts: z.number().int().min(1).default(5).describe('fewer in that time say nothing'),
    lookBackHours: z
      .number()
      .positive()
      .max(720)
      .default(24)
      .describe('how far back lost saves are looked for'),
    errorKinds: z
      .record(
        z.string().max(40),
        z
          .string()
          .max(200)
          .refine((pattern) => patternProblem(pattern) === undefined, { message: 'no regular expression' }),
      )
      .default(KINDS)
      .describe('names of errors, by a regular expression: their text is never shown, it may quote a draft'),
  })
  .describe('what people write, and how it is saved');

const PLACE = ['service', 'environment'];

export const environmentDraftsSchema = z
  .strictObject({
    localOnly: z
      .strictObject({ on: changeSchema(PLACE), off: changeSchema(PLACE) })
      .optional()
      .describe('keeps edits where they are made, or shows that nothing is saved, while saves fail'),
    probe: operationSchema(PLACE)
      .optional()
      .describe('saves a draft of its own; its answer must be a success'),
    inform: operationSchema([...PLACE, 'owner', 'drafts', 'key'])
      .refine((operation) => placeholdersOf(operation).includes('key'), {
        message: 'with {key}, as the idempotency key: else an answer that is lost tells an owner twice',
      })
      .optional()
      .describe('tells an owner how many drafts were salvaged; without it that is a task for a person'),
    measure: z
      .string()
      .min(1)
      .optional()
      .describe(
        'of observe.measures: the share of saves that fail; a rollback watches it, without it only errors and health',
      ),
    settleSeconds: z
      .number()
      .positive()
      .max(900)
      .default(60)
      .describe('how long saves are counted after they should succeed again'),
  })
  .describe('how the drafts of this environment are saved');

export type DraftsConfig = z.infer<typeof draftsSchema>;
export type EnvironmentDrafts = z.infer<typeof environmentDraftsSchema>;
export type Keep = (typeof KEEPS)[number];

export const draftsSettings = {
  service: z.object({ drafts: draftsSchema.optional() }),
  environment: z.object({ drafts: environmentDraftsSchema.optional() }),
};

/** The section of a service. Throws InvalidInput where there is none: nobody may guess whose rows are drafts. */
export function draftsOf({ config }: ActivityDeps, service: string): DraftsConfig {
  const { drafts } = serviceOf(config, service) as ServiceConfig & { drafts?: DraftsConfig };
  if (drafts !== undefined) return drafts;
  throw fail(
    'InvalidInput',
    `services.${service}.drafts is missing in runbooks.yaml: it names the tables of drafts and of attempts to save them. Add it, then start again.`,
  );
}

/** How drafts are saved in an environment; undefined where nobody has said. */
export function savingOf(
  { config }: ActivityDeps,
  { service, environment }: Place,
): EnvironmentDrafts | undefined {
  const { drafts } = environmentOf(config, service, environment) as EnvironmentConfig & {
    drafts?: EnvironmentDrafts;
  };
  return drafts;
}
