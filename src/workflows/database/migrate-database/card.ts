import { z } from 'zod';
import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const migrateDatabaseCard = card({
  name: 'migrateDatabase',
  title: 'Migrate a database',
  area: 'database',
  priority: 'P2',
  symptoms: ['a reviewed migration is ready to go to production'],
  impact: 'a migration that goes wrong stops bookings, or loses them',
  diagnosis: [
    'the files and the ledger: what is pending, what was applied under that name with other content',
    'the right database, versions of server and client tools, open transactions, staging against production',
    'hazards: Squawk lint, table rewrites, statements outside a transaction, missing down scripts',
  ],
  resolution: [
    'back up production and prove the backup by restoring it into a disposable cluster',
    'rehearse up and down on that clone, then on staging; check invariants, health, smoke test',
    'wait for an approval of exactly this plan',
    'apply with a short lock timeout, in one transaction with the ledger row; verify schema delta, invariants, health, error rate',
    'going back: transaction aborted, else down script, else restore, which asks',
  ],
  prevention: ['expand and contract in separate migrations', 'a down script beside every migration'],
  escalation: ['a way back that fails ends as NEEDS_HUMAN and pages the ladder; the backup is kept'],
  changes: 'the schema of staging and of production; files in the backup directory',
  input: {
    environment: databaseEnvironment,
    staging: z.string().min(1).max(40).default('staging').describe('environment to rehearse on, or "none"'),
    files: z
      .array(
        z
          .string()
          .regex(
            /^[\w][\w.-]*\.sql$/,
            'a file name in the migrations directory, e.g. "2026_11_01_add_notes.sql"',
          ),
      )
      .max(50)
      .default([])
      .describe('files to apply in this order; empty: everything pending, by name'),
    accept: z
      .array(z.string().min(1))
      .max(50)
      .default([])
      .describe('hazards accepted by rule name, e.g. "schema-drift", "table-rewrite", or a Squawk rule'),
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
