import { createAnnounceActivities } from './notifications/announce';
import { createApplicationActivities } from './application/symptoms';
import { createApplicationChangeActivities } from './application/changes';
import { createApplicationFactsActivities } from './application/facts';
import { createCommandActivities } from './application/commands';
import { createDeploymentActivities } from './deployments/deployment-activities';
import type { WithCatalogue } from '../catalogue/catalogue';
import type { ActivityDeps } from './support/deps';
import { createExternalServiceActivities } from './application/external-services';
import { createFeatureActivities } from './application/features';
import { createGuardActivities } from './guard/guard-activities';
import { createApplyActivities } from './postgres/migrations/apply-activities';
import { createBackupActivities } from './postgres/backups/take-backup';
import { createBackupsActivities } from './postgres/backups/backup-activities';
import { createCanaryActivities } from './postgres/backups/canary';
import { createConnectionActivities } from './postgres/connections/connection-activities';
import { createFactsActivities } from './postgres/inspection/facts';
import { createFingerprintActivities } from './postgres/inspection/fingerprint';
import { createInvariantActivities } from './postgres/inspection/invariants';
import { createLintActivities } from './postgres/migrations/lint-activities';
import { createMigrationActivities } from './postgres/migrations/migration-activities';
import { createRestoreActivities } from './postgres/restore/restore-activities';
import { createScratchActivities } from './postgres/restore/scratch-activities';
import { createSwapActivities } from './postgres/restore/swap-activities';
import { createValidateActivities } from './postgres/restore/validation-activities';
import { createProbeActivities } from './postgres/inspection/probe';
import { createPrepareActivities } from './policy/prepare';
import { createMeasureActivities } from './application/measure';
import { createRateLimitActivities } from './application/rate-limits';
import { createRemedyActivities } from './application/remedies';
import { createIncidentActivities } from './incidents/incident-activities';

/** Everything a worker can do to the outside world. */
export function createActivities(deps: ActivityDeps & WithCatalogue) {
  return {
    ...createPrepareActivities(deps),
    ...createGuardActivities(deps),
    ...createAnnounceActivities(deps),
    ...createApplicationActivities(deps),
    ...createApplicationFactsActivities(deps),
    ...createApplicationChangeActivities(deps),
    ...createCommandActivities(deps),
    ...createMeasureActivities(deps),
    ...createIncidentActivities(deps),
    ...createDeploymentActivities(deps),
    ...createExternalServiceActivities(deps),
    ...createFeatureActivities(deps),
    ...createRateLimitActivities(deps),
    ...createRemedyActivities(deps),
    ...createProbeActivities(deps),
    ...createFactsActivities(deps),
    ...createConnectionActivities(deps),
    ...createCanaryActivities(deps),
    ...createBackupActivities(deps),
    ...createBackupsActivities(deps),
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

export type Activities = ReturnType<typeof createActivities>;
