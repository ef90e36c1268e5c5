import { card, z } from '../../../doors/pack';
import { databaseEnvironment, recoveryPoint } from '../../database/inputs';

export const recoverFromCorruptionCard = card({
  name: 'recoverFromCorruption',
  title: 'Recover from data corruption',
  area: 'recovery',
  priority: 'P0',
  from: ['assistant: Data Corruption'],
  symptoms: [
    'data is inconsistent: an invariant is broken',
    'records are missing',
    'rows refer to others that are not there',
  ],
  impact:
    'customers see wrong data or none, and what is done with it spreads the damage; writes stop while rows are brought back',
  diagnosis: [
    'foreign keys with rows that break them, also of constraints that nobody validated or whose triggers were off',
    'CHECK constraints that nobody validated, rules of the configuration, invariants, and indexes where amcheck is installed',
    'backups, newest first, each restored beside, until one is whole and keeps the rules: since when it is so',
    'row by row against that copy, by primary key: what is missing, what breaks a rule and is otherwise there, what is newer',
  ],
  resolution: [
    'a plan by table: how many rows come back, how many are put back as they were, how many newer ones stay',
    'stop writes, or shut writers out, and watch that nobody writes any more',
    'bring back exactly the rows of the plan, in batches, each with its images in the change log; what somebody changed since stays',
    'verify the rules and invariants, resume writes, then health and the smoke test; what does not hold is taken back exactly',
    'more damage than a run may touch: it refuses, and restoreDatabase is the way',
  ],
  prevention: [
    'foreign keys and CHECK constraints, validated, and no session_replication_role in jobs of the application',
    'invariants of the service, and weekly drills, which hold each backup to them',
  ],
  escalation: [
    'no backup that is well: NEEDS_HUMAN pages the ladder',
    'a way back that fails: NEEDS_HUMAN pages the ladder, and asks at once whether to resume writes',
  ],
  changes: 'rows that are missing in the live database, or break a rule in it',
  // Nobody but a person knows what was deleted on purpose.
  capMode: () => ({
    mode: 'propose',
    modeReason: 'a person has to say that rows were not deleted on purpose',
  }),
  input: {
    environment: databaseEnvironment,
    recoveryPoint,
    backups: z
      .number()
      .int()
      .min(1)
      .max(10)
      .default(3)
      .describe('with "latest": how many are tried, newest first, for one that is well'),
  },
  example: {
    service: 'booking',
    environment: 'production',
    startedBy: 'ana',
    reason: 'bookings are missing',
  },
});
