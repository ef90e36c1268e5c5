import { createBackupsActivities } from './postgres/backups/backup-activities';
import { createCanaryActivities } from './postgres/backups/canary';
import { createOffsiteActivities } from './postgres/backups/offsite/offsite-activities';
import { createBackupActivities } from './postgres/backups/take-backup';
import { createVerifyActivities } from './postgres/backups/verify-activities';
import { createConnectionActivities } from './postgres/connections/connection-activities';
import { createFactsActivities } from './postgres/inspection/facts';
import { createFingerprintActivities } from './postgres/inspection/fingerprint';
import { createInvariantActivities } from './postgres/inspection/invariants';
import { createProbeActivities } from './postgres/inspection/probe';
import { createApplyActivities } from './postgres/migrations/apply-activities';
import { createLintActivities } from './postgres/migrations/lint-activities';
import { createMigrationActivities } from './postgres/migrations/migration-activities';
import { createRestoreActivities } from './postgres/restore/restore-activities';
import { createScratchActivities } from './postgres/restore/scratch-activities';
import { createSwapActivities } from './postgres/restore/swap-activities';
import { createValidateActivities } from './postgres/restore/validation-activities';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, a PostgreSQL database, its backups and its copies. */
export function createDatabaseActivities(deps: ActivityDeps) {
  return {
    ...createProbeActivities(deps),
    ...createFactsActivities(deps),
    ...createConnectionActivities(deps),
    ...createCanaryActivities(deps),
    ...createBackupActivities(deps),
    ...createBackupsActivities(deps),
    ...createVerifyActivities(deps),
    ...createOffsiteActivities(deps),
    ...createScratchActivities(deps),
    ...createRestoreActivities(deps),
    ...createValidateActivities(deps),
    ...createSwapActivities(deps),
    ...createMigrationActivities(deps),
    ...createLintActivities(deps),
    ...createApplyActivities(deps),
    ...createFingerprintActivities(deps),
    ...createInvariantActivities(deps),
  };
}
