import { createBackupsActivities, type ListInput } from './postgres/backups/backup-activities';
import { createCanaryActivities } from './postgres/backups/canary';
import { createOffsiteActivities } from './postgres/backups/offsite/offsite-activities';
import { createBackupActivities } from './postgres/backups/take-backup';
import { createVerifyActivities } from './postgres/backups/verify-activities';
import { createConnectionActivities } from './postgres/connections/connection-activities';
import { createDiagnoseActivities } from './postgres/connections/diagnose-activities';
import { createActivityReaders } from './postgres/connections/lock-waits';
import { createAdditionActivities } from './postgres/inspection/additions';
import { createContentsActivities } from './postgres/inspection/contents-activities';
import { createFactsActivities } from './postgres/inspection/facts';
import { createFingerprintActivities } from './postgres/inspection/fingerprint';
import { createInvariantActivities } from './postgres/inspection/invariants';
import { createProbeActivities } from './postgres/inspection/probe';
import { createApplyActivities } from './postgres/migrations/apply-activities';
import { createLintActivities } from './postgres/migrations/lint-activities';
import { createMigrationActivities } from './postgres/migrations/migration-activities';
import { createMissingMigrationActivities } from './postgres/migrations/missing-migrations';
import { createRestoreActivities } from './postgres/restore/restore-activities';
import { createScratchActivities } from './postgres/restore/scratch-activities';
import { createSwapActivities } from './postgres/restore/swap-activities';
import { createValidateActivities } from './postgres/restore/validation-activities';
import { createTuningActivities } from './postgres/tuning/tuning-activities';
import { onThisHost } from './hosts/host-activities';
import type { ActivityDeps } from './support/deps';
import { workerHostOf } from '../config/worker-host';
import type { BackupListEntry, BackupRef } from '../contract/backup';
import type { OnHost } from '../contract/hosts';

/** What can be read from, and done to, a PostgreSQL database, its backups and its copies. */
export function createDatabaseActivities(deps: ActivityDeps) {
  const { backUp } = createBackupActivities(deps);
  const { listBackups, ...backups } = createBackupsActivities(deps);
  const { fetchBackup, ...offsite } = createOffsiteActivities(deps);
  const { openScratch, ...scratch } = createScratchActivities(deps);
  return {
    ...createProbeActivities(deps),
    ...createFactsActivities(deps),
    ...createConnectionActivities(deps),
    ...createDiagnoseActivities(deps),
    ...createActivityReaders(deps),
    ...createCanaryActivities(deps),
    ...createVerifyActivities(deps),
    ...offsite,
    ...backups,
    ...scratch,
    // What they make or find lies on the disk of this host.
    backUp: onThisHost(deps, backUp),
    openScratch: onThisHost(deps, openScratch),
    fetchBackup: onThisHost(deps, async (ref: BackupRef & Partial<OnHost>) => ({
      backupId: ref.backupId,
      ...(await fetchBackup(ref)),
    })),
    async listBackups(input: ListInput): Promise<BackupListEntry[]> {
      const workerHost = workerHostOf(deps.config);
      const listed = await listBackups(input);
      // What is not whole here may be whole elsewhere.
      return listed.map((one) => (one.complete && one.where.includes('disk') ? { ...one, workerHost } : one));
    },
    ...createRestoreActivities(deps),
    ...createValidateActivities(deps),
    ...createSwapActivities(deps),
    ...createMigrationActivities(deps),
    ...createMissingMigrationActivities(deps),
    ...createLintActivities(deps),
    ...createApplyActivities(deps),
    ...createFingerprintActivities(deps),
    ...createInvariantActivities(deps),
    ...createContentsActivities(deps),
    ...createAdditionActivities(deps),
    ...createTuningActivities(deps),
  };
}
