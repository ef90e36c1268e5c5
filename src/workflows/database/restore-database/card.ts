import { card, z } from '../../../doors/pack';
import { databaseEnvironment, recoveryPoint } from '../inputs';

export const restoreDatabaseCard = card({
  name: 'restoreDatabase',
  title: 'Restore a database',
  area: 'database',
  priority: 'P0',
  from: ['booking: Backup and Restore', 'assistant: Backup & Restore', 'assistant: Point-in-Time Recovery'],
  symptoms: [
    'data was lost or corrupted, the database was dropped, or its server was lost',
    'the database cannot be repaired in place',
  ],
  impact: 'writes stop while it runs; everything written since the backup is lost',
  diagnosis: [
    'what there still is of the live database, every table read',
    'which backups there are, which were proven by a restore, and whether the chosen one is whole',
    'whether the server would take it: versions, rights, extensions, roles, tablespaces, preloaded libraries',
    'an upper bound of the writes that would be lost, read again after people have waited',
  ],
  resolution: [
    'stop writes, or shut writers out, and watch that nobody writes any more',
    'take a safety backup of what can be read',
    'restore beside the live database and validate the copy against its manifest',
    'swap the two in one transaction; keep the former database',
    'switch traffic, resume writes, check the health of the application',
    'name the replication that has to be set up again, with the statements',
  ],
  prevention: ['daily backups, weekly restore drills, migrations only through migrateDatabase'],
  escalation: [
    'where rows would be lost, people decide before anything is touched; a question that nobody answers goes up the ladder',
    'a failed way back: NEEDS_HUMAN pages the ladder',
  ],
  changes: 'replaces the live database by a restored copy; the former one is kept under another name',
  input: {
    environment: databaseEnvironment,
    recoveryPoint,
    judgeHealth: z
      .boolean()
      .default(true)
      .describe(
        'take the copy back where the application is not healthy with it; false is set by runs that start this one, and look at the application themselves',
      ),
  },
  example: { service: 'booking', environment: 'production', recoveryPoint: 'latest', startedBy: 'ana' },
});
