import { backUpDatabaseCard } from './database/back-up-database.card';
import { checkBackupsCard } from './database/check-backups.card';
import { drillRestoreCard } from './database/drill-restore.card';
import { migrateDatabaseCard } from './database/migrate-database.card';
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
  respondToIncidentCard,
];

/** The card of a runbook by its wire name. */
export function cardOf(name: string): Card | undefined {
  return cards.find((one) => one.name === name);
}
