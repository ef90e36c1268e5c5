import { createAnnounceActivities } from './notifications/announce';
import { createApplicationActivities } from './application';
import { createApplicationChangeActivities } from './application-changes';
import { createApplicationFactsActivities } from './application-facts';
import { createCommandActivities } from './commands';
import { createDeploymentActivities } from './deployments';
import type { ActivityDeps } from './deps';
import { createExternalServiceActivities } from './external-services';
import { createFeatureActivities } from './features';
import { createGuardActivities } from './guard';
import { createApplyActivities } from './postgres/apply';
import { createBackupActivities } from './postgres/backup';
import { createBackupsActivities } from './postgres/backups';
import { createCanaryActivities } from './postgres/canary';
import { createConnectionActivities } from './postgres/connections';
import { createFactsActivities } from './postgres/facts';
import { createFingerprintActivities } from './postgres/fingerprint';
import { createInvariantActivities } from './postgres/invariants';
import { createLintActivities } from './postgres/lint';
import { createMigrationActivities } from './postgres/migrations';
import { createRestoreActivities } from './postgres/restore';
import { createScratchActivities } from './postgres/scratch';
import { createSwapActivities } from './postgres/swap';
import { createValidateActivities } from './postgres/validate';
import { createProbeActivities } from './postgres/probe';
import { createPrepareActivities } from './prepare';
import { createRateLimitActivities } from './rate-limits';
import { createRemedyActivities } from './remedies';
import { createTriageActivities } from './triage';

/** Everything a worker can do to the outside world. */
export function createActivities(deps: ActivityDeps) {
  return {
    ...createPrepareActivities(deps),
    ...createGuardActivities(deps),
    ...createAnnounceActivities(deps),
    ...createApplicationActivities(deps),
    ...createApplicationFactsActivities(deps),
    ...createApplicationChangeActivities(deps),
    ...createCommandActivities(deps),
    ...createTriageActivities(deps),
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
