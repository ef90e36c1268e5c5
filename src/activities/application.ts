import { createAdjustmentActivities } from './application/adjustments';
import { createBlockedActivities } from './application/blocked';
import { createApplicationChangeActivities } from './application/changes';
import { createChecklistActivities } from './application/checklist';
import { createCommandActivities } from './application/commands';
import { createCronActivities } from './application/crons';
import { createExternalServiceActivities } from './application/external-services';
import { createApplicationFactsActivities } from './application/facts';
import { createFeatureActivities } from './application/features';
import { createMeasureActivities } from './application/measure';
import { createRateLimitActivities } from './application/rate-limits';
import { createRemedyActivities } from './application/remedies';
import { createApplicationActivities } from './application/symptoms';
import { createAuthActivities } from './auth/auth';
import { createDeploymentActivities } from './deployments/deployment-activities';
import { createReleaseActivities } from './deployments/release-activities';
import { createReviewActivities } from './deployments/review';
import { createLogActivities } from './observe/logs';
import { createObserveActivities } from './observe/measure';
import type { ActivityDeps } from './support/deps';

/** What can be read from, and done to, a running application and its deployments. */
export function createServingActivities(deps: ActivityDeps) {
  return {
    ...createApplicationActivities(deps),
    ...createApplicationFactsActivities(deps),
    ...createApplicationChangeActivities(deps),
    ...createAdjustmentActivities(deps),
    ...createChecklistActivities(deps),
    ...createCommandActivities(deps),
    ...createMeasureActivities(deps),
    ...createObserveActivities(deps),
    ...createLogActivities(deps),
    ...createCronActivities(deps),
    ...createDeploymentActivities(deps),
    ...createReleaseActivities(deps),
    ...createReviewActivities(deps),
    ...createExternalServiceActivities(deps),
    ...createFeatureActivities(deps),
    ...createRateLimitActivities(deps),
    ...createBlockedActivities(deps),
    ...createRemedyActivities(deps),
    ...createAuthActivities(deps),
  };
}
