import { z } from 'zod';
import { card } from '../../../doors/pack';
import { databaseEnvironment, recoveryPoint } from '../inputs';

export const drillRestoreCard = card({
  name: 'drillRestore',
  title: 'Drill a restore',
  area: 'database',
  priority: 'P2',
  from: ['appointments: 4 Database restore drill', 'travel: 8 Maintenance Tasks'],
  symptoms: [
    'the weekly schedule is due',
    'a backup must be proven before something risky',
    'the restore branch shall take over (promote)',
  ],
  impact: 'none for production; without drills nobody knows whether, and how fast, a restore works',
  diagnosis: ['which backups there are', 'which recovery point is meant: the latest, a random one, a time'],
  resolution: [
    'bring the copy back from off site, where there is one',
    'restore into a disposable cluster that cannot touch production, with the rights that our role has on the live server, or, while that is away, had when the backup was made',
    'validate: rows of every table against the manifest, sequences, keys, invariants, the canary, indexes',
    'run the smoke command against the copy; drop the copy',
    'measure fetch, restore and validation, estimate the rest of the RTO; the RPO is the age of the newest backup',
    'with promote: name the migrations that the copy lacks of those of the live database, and start migrateDatabase for them once it is live',
    'with promote: announce, stop writes, restore again onto the durable server, swap, switch traffic, verify',
  ],
  prevention: [
    'weekly schedule; RunbooksNoVerifiedRestore fires when the last restore that was checked is older than eight days',
  ],
  escalation: [
    'a failed drill means that there may be no usable backup: where an alert or a schedule started the run, the first rung is called',
  ],
  changes: 'nothing of the service, or with promote the live database',
  input: {
    environment: databaseEnvironment,
    recoveryPoint,
    windowDays: z.number().positive().max(365).default(30).describe('how far back "random" reaches'),
    from: z
      .enum(['disk', 'offsite'])
      .optional()
      .describe('where the backup comes from; default: off site where there is a copy'),
    promote: z.boolean().default(false).describe('let the restored backup take over from the live database'),
  },
  example: { service: 'booking', environment: 'production', recoveryPoint: 'latest', startedBy: 'ana' },
});
