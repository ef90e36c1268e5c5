import type * as Made from '../activities/application';
import { authSettings } from '../activities/auth/settings';
import { definePack } from '../doors/pack';
import { adjustRateLimitsCard } from '../workflows/application/adjust-rate-limits/card';
import { diagnoseAuthenticationCard } from '../workflows/application/diagnose-authentication/card';
import { deployApplicationCard } from '../workflows/application/deploy-application/card';
import { recoverCronCard } from '../workflows/application/recover-cron/card';
import { relieveCpuSpikeCard } from '../workflows/application/relieve-cpu-spike/card';
import { relieveMemoryPressureCard } from '../workflows/application/relieve-memory-pressure/card';
import { resolveHighErrorRateCard } from '../workflows/application/resolve-high-error-rate/card';
import { resolveSlowResponsesCard } from '../workflows/application/resolve-slow-responses/card';
import { rollBackDeploymentCard } from '../workflows/application/roll-back-deployment/card';
import { runDailyChecklistCard } from '../workflows/application/run-daily-checklist/card';

/** What is in front of the databases, and how it is deployed. */
export const applicationPack = definePack({
  name: 'application',
  cards: [
    rollBackDeploymentCard,
    deployApplicationCard,
    resolveHighErrorRateCard,
    recoverCronCard,
    resolveSlowResponsesCard,
    relieveMemoryPressureCard,
    relieveCpuSpikeCard,
    runDailyChecklistCard,
    adjustRateLimitsCard,
    diagnoseAuthenticationCard,
  ],
  workflows: require.resolve('../workflows/application'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createServingActivities } = require('../activities/application') as typeof Made;
    return createServingActivities(deps);
  },
  settings: authSettings,
});
