import { z } from 'zod';
import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const checkBackupsCard = card({
  name: 'checkBackups',
  title: 'Check the backups',
  area: 'database',
  priority: 'P2',
  from: ['booking: Backup and Restore', 'assistant: Backup & Restore', 'travel: 5 Daily and Shift Checklist'],
  symptoms: ['the daily schedule is due', 'nobody knows when the last good backup was taken'],
  impact: 'a backup that is missing, old or damaged is noticed when it is needed',
  diagnosis: [
    'a complete backup exists and is younger than the objective',
    'every file of every kept backup has the SHA-256 of its manifest and the dump can be listed',
    'the copies off site have every object, and the newest is recent',
    'the retention can be applied and is; the last restore is as recent as `backups.provenMaxAgeHours` asks',
  ],
  resolution: ['none by itself: start backUpDatabase, or find out why its schedule did not run'],
  prevention: ['run it daily from a schedule, and drillRestore weekly: only a restore is proof'],
  escalation: ['a check that fails: where an alert or a schedule started the run, the first rung is called'],
  changes: 'nothing',
  input: {
    environment: databaseEnvironment,
    verify: z
      .enum(['all', 'newest'])
      .default('all')
      .describe(
        'which backups are read byte by byte; all of them takes hours where there are many large ones',
      ),
    readOffsite: z
      .boolean()
      .default(false)
      .describe(
        'read every byte of the copies off site back, instead of comparing the sizes of their objects',
      ),
  },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
