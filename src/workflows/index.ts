/** Every workflow type that a worker offers. The export's name is the wire name. */
export { guard } from './kit/guard';
export { backUpDatabase } from './database/back-up-database';
export { checkBackups } from './database/check-backups';
export { drillRestore } from './database/drill-restore';
export { migrateDatabase } from './database/migrate-database';
export { restoreDatabase } from './database/restore-database';
export { relieveConnectionPool } from './database/relieve-connection-pool';
export { respondToIncident } from './incidents/respond-to-incident';
export { resolveHighErrorRate } from './application/resolve-high-error-rate';
export { rollBackDeployment } from './application/roll-back-deployment';
