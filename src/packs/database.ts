import type * as Made from '../activities/database';
import { definePack } from '../doors/pack';
import { backUpDatabaseCard } from '../workflows/database/back-up-database/card';
import { checkBackupsCard } from '../workflows/database/check-backups/card';
import { drillRestoreCard } from '../workflows/database/drill-restore/card';
import { migrateDatabaseCard } from '../workflows/database/migrate-database/card';
import { recoverDatabaseConnectionsCard } from '../workflows/database/recover-database-connections/card';
import { releaseBackupCard } from '../workflows/database/release-backup/card';
import { relieveConnectionPoolCard } from '../workflows/database/relieve-connection-pool/card';
import { restoreDatabaseCard } from '../workflows/database/restore-database/card';
import { reviewIndexesCard } from '../workflows/database/review-indexes/card';
import { tuneSlowQueriesCard } from '../workflows/database/tune-slow-queries/card';
import { vacuumBloatedTablesCard } from '../workflows/database/vacuum-bloated-tables/card';

/** Migrations, backups, restores, connections, indexes and tables of PostgreSQL. */
export const databasePack = definePack({
  name: 'database',
  cards: [
    migrateDatabaseCard,
    backUpDatabaseCard,
    checkBackupsCard,
    drillRestoreCard,
    restoreDatabaseCard,
    releaseBackupCard,
    relieveConnectionPoolCard,
    recoverDatabaseConnectionsCard,
    tuneSlowQueriesCard,
    reviewIndexesCard,
    vacuumBloatedTablesCard,
  ],
  workflows: require.resolve('../workflows/database'),
  activities: (deps) => {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- half of what a command loads, for workers alone
    const { createDatabaseActivities } = require('../activities/database') as typeof Made;
    return createDatabaseActivities(deps);
  },
  // Disposable clusters outlive a killed worker on purpose; whoever comes next removes those whose time is over.
  hourly: async (deps) => {
    const { createScratchActivities } = await import('../activities/postgres/restore/scratch-activities.js');
    await createScratchActivities(deps).sweepScratch();
  },
});
