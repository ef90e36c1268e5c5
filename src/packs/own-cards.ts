import { resolveHighErrorRateCard } from '../workflows/application/resolve-high-error-rate/card';
import { rollBackDeploymentCard } from '../workflows/application/roll-back-deployment/card';
import { backUpDatabaseCard } from '../workflows/database/back-up-database/card';
import { checkBackupsCard } from '../workflows/database/check-backups/card';
import { drillRestoreCard } from '../workflows/database/drill-restore/card';
import { migrateDatabaseCard } from '../workflows/database/migrate-database/card';
import { relieveConnectionPoolCard } from '../workflows/database/relieve-connection-pool/card';
import { restoreDatabaseCard } from '../workflows/database/restore-database/card';
import { respondToIncidentCard } from '../workflows/incidents/respond-to-incident/card';
import { createCatalogue } from '../catalogue/catalogue';

/** Our own runbooks, in the order of the catalogue. */
export const ownCatalogue = createCatalogue([
  migrateDatabaseCard,
  backUpDatabaseCard,
  checkBackupsCard,
  drillRestoreCard,
  restoreDatabaseCard,
  relieveConnectionPoolCard,
  rollBackDeploymentCard,
  resolveHighErrorRateCard,
  respondToIncidentCard,
]);
