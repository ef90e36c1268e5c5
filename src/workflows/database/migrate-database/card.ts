import { ACCEPTABLE_RULES, parseAccepted } from './accept';
import { card, suggestion, z } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

const acceptSchema = z.string().superRefine((text, context) => {
  const { rule } = parseAccepted(text);
  if (ACCEPTABLE_RULES.includes(rule)) return;
  const near = suggestion(rule, ACCEPTABLE_RULES);
  context.addIssue({ code: 'custom', message: `a rule that there is, alone or as FILE:RULE${near}` });
});

export const migrateDatabaseCard = card({
  name: 'migrateDatabase',
  title: 'Migrate a database',
  area: 'database',
  priority: 'P2',
  from: ['booking: Database Migration', 'studio: Migration Procedures', 'travel: 9 Change Management'],
  symptoms: ['a reviewed migration is ready to go to production'],
  impact: 'a migration that goes wrong stops the application, or loses data',
  diagnosis: [
    'the files and the ledger: what is pending, left out or out of order, what was applied under that name with other content',
    'the right database, versions of server and client tools, open transactions, staging against production',
    'hazards: Squawk lint, table rewrites, statements outside a transaction, missing down scripts',
  ],
  resolution: [
    'back up production and prove the backup by restoring it into a disposable cluster',
    'rehearse up and down on that clone, and compare what becomes of its rows, values and sequences',
    'apply on staging what it lacks; check invariants, health, smoke test',
    'wait for an approval of exactly this plan',
    'apply with a short lock timeout, in one transaction with the ledger row; verify schema delta, invariants, health, error rate',
    'compare the log with that of the day before: kinds of errors that are new are told, and take nothing back, because their cause may be another one',
    'going back, all files at once: nothing where the transaction was aborted; down scripts where the clone has shown that they give everything back, and a question where they take what was written since; else a restore, which always asks; staging too',
  ],
  prevention: ['expand and contract in separate migrations', 'a down script beside every migration'],
  escalation: ['a way back that fails: NEEDS_HUMAN pages the ladder; the backup is kept while the run waits'],
  changes: 'schema and data of staging and of production; files in the backup directory',
  input: {
    environment: databaseEnvironment,
    staging: z.string().min(1).max(40).default('staging').describe('environment to rehearse on, or "none"'),
    files: z
      .array(
        z
          .string()
          .regex(
            /^\w[\w.-]*$/,
            'the name of a migration, e.g. "2026_11_01_add_notes.sql", or of its folder where each has one',
          ),
      )
      .max(50)
      .default([])
      .describe('migrations to apply, in this order; empty: everything pending, in the order of its layout'),
    accept: z
      .array(acceptSchema)
      .max(100)
      .default([])
      .describe(
        'hazards accepted by rule, for every file or for one, e.g. "schema-drift" or "2026_11_01_add_notes.sql:table-rewrite"',
      ),
  },
  example: { service: 'booking', files: ['2026_11_01_add_booking_notes.sql'], startedBy: 'ana' },
  capMode: ({ migrations }) =>
    migrations.command === undefined
      ? undefined
      : {
          mode: 'propose',
          modeReason: 'a migration command opens connections of its own, which cannot be fenced',
        },
});
