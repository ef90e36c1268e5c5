export { backUpDatabase } from './back-up-database/back-up-database';
export { checkBackups } from './check-backups/check-backups';
export { drillRestore } from './drill-restore/drill-restore';
export { migrateDatabase } from './migrate-database/migrate-database';
export { releaseBackup } from './release-backup/release-backup';
export { relieveConnectionPool } from './relieve-connection-pool/relieve-connection-pool';
export { restoreDatabase } from './restore-database/restore-database';
