import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const reviewIndexesCard = card({
  name: 'reviewIndexes',
  title: 'Review the indexes',
  area: 'database',
  priority: 'P3',
  from: ['booking: Database Performance Issues', 'travel: 8 Maintenance Tasks'],
  symptoms: [
    'the quarterly schedule is due',
    'writes have become slow',
    'the indexes are larger than the tables',
  ],
  impact:
    'each index that nobody needs slows every write down; each one that is missing on a foreign key, every delete of a parent',
  diagnosis: [
    'indexes that a failed build has left invalid',
    'indexes that are the same as another one, or the beginning of another one',
    'indexes that were not scanned for long',
    'foreign keys that no index begins with',
  ],
  resolution: [
    'tell all of them with their statements',
    'try on a copy of the newest backup what becomes of the plans of all known statements of the table',
    'after the gate: drop the invalid, the doubled and the unused ones, create those that foreign keys lack, all without stopping writes',
    'look at the plans of the live server',
  ],
  prevention: ['a schedule every three months', 'an index with every foreign key'],
  escalation: [
    'an index that enforces something and is invalid: everybody is told the REINDEX that a person has to run',
  ],
  changes:
    'creates and drops indexes; a dropped one is made again exactly as it was where a plan becomes worse',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
