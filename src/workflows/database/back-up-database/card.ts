import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const backUpDatabaseCard = card({
  name: 'backUpDatabase',
  title: 'Back up a database',
  area: 'database',
  priority: 'P2',
  from: ['booking: Backup and Restore', 'assistant: Backup & Restore', 'travel: 8 Maintenance Tasks'],
  symptoms: [
    'the daily schedule is due',
    'something risky is about to be done by hand',
    'checkBackups found the newest backup too old',
  ],
  impact: 'without a recent backup a failure loses everything since the last one',
  diagnosis: ['size and version of the database', 'age of the newest backup'],
  resolution: [
    'write a canary row, so that a restore can show how much it brought back',
    'dump in parallel from one snapshot, with row counts per table from that very snapshot',
    'check every file against its SHA-256, list the dump, compare the size with the previous backup',
    'copy it off site; delete what the retention no longer keeps, here and there, but for what open runs have chosen',
  ],
  prevention: ['run it daily from a schedule', 'watch the seconds since the last proven backup'],
  escalation: ['a backup that fails: where an alert or a schedule started the run, the first rung is called'],
  changes: 'one canary row; files in the backup directory',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
