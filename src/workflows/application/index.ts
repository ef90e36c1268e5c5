export { adjustRateLimits } from './adjust-rate-limits/adjust-rate-limits';
export { recoverCron } from './recover-cron/recover-cron';
export { relieveCpuSpike } from './relieve-cpu-spike/relieve-cpu-spike';
export { relieveMemoryPressure } from './relieve-memory-pressure/relieve-memory-pressure';
export { resolveHighErrorRate } from './resolve-high-error-rate/resolve-high-error-rate';
export { resolveSlowResponses } from './resolve-slow-responses/resolve-slow-responses';
export { rollBackDeployment } from './roll-back-deployment/roll-back-deployment';
export { runDailyChecklist } from './run-daily-checklist/run-daily-checklist';
