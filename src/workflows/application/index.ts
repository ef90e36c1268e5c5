export { recoverCron } from './recover-cron/recover-cron';
export { resolveHighErrorRate } from './resolve-high-error-rate/resolve-high-error-rate';
export { rollBackDeployment } from './roll-back-deployment/roll-back-deployment';
