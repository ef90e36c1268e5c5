import { resolveHighErrorRateCard } from './application/resolve-high-error-rate.card';
import { rollBackDeploymentCard } from './application/roll-back-deployment.card';
import { backUpDatabaseCard } from './database/back-up-database.card';
import { checkBackupsCard } from './database/check-backups.card';
import { drillRestoreCard } from './database/drill-restore.card';
import { migrateDatabaseCard } from './database/migrate-database.card';
import { relieveConnectionPoolCard } from './database/relieve-connection-pool.card';
import { restoreDatabaseCard } from './database/restore-database.card';
import { respondToIncidentCard } from './incidents/respond-to-incident.card';
import type { Card } from './kit/card';

/** Every runbook's card, in the order of the catalogue. Node side only. */
export const cards: Card[] = [
  migrateDatabaseCard,
  backUpDatabaseCard,
  checkBackupsCard,
  drillRestoreCard,
  restoreDatabaseCard,
  relieveConnectionPoolCard,
  rollBackDeploymentCard,
  resolveHighErrorRateCard,
  respondToIncidentCard,
];

/** The card of a runbook by its wire name. */
export function cardOf(name: string): Card | undefined {
  return cards.find((one) => one.name === name);
}
