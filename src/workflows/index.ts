/** Every workflow type that a worker offers. The export's name is the wire name. */
export { guard } from './guard/guard';
export { backUpDatabase } from './database/back-up-database/back-up-database';
export { checkBackups } from './database/check-backups/check-backups';
export { drillRestore } from './database/drill-restore/drill-restore';
export { migrateDatabase } from './database/migrate-database/migrate-database';
export { restoreDatabase } from './database/restore-database/restore-database';
export { relieveConnectionPool } from './database/relieve-connection-pool/relieve-connection-pool';
export { respondToIncident } from './incidents/respond-to-incident/respond-to-incident';
export { resolveHighErrorRate } from './application/resolve-high-error-rate/resolve-high-error-rate';
export { rollBackDeployment } from './application/roll-back-deployment/roll-back-deployment';
