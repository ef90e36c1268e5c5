import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const vacuumBloatedTablesCard = card({
  name: 'vacuumBloatedTables',
  title: 'Vacuum bloated tables',
  area: 'database',
  priority: 'P3',
  from: ['travel: 8 Maintenance Tasks'],
  symptoms: [
    'the nightly schedule is due',
    'a table has many dead rows, and autovacuum does not keep up',
    'plans are bad because the statistics are old',
  ],
  impact: 'queries read rows that nobody can see any more, and the table grows',
  diagnosis: [
    'dead rows of every table, and since when they are counted',
    'how much of a table seems to be empty, estimated from the widths of its columns',
    'what autovacuum did last, where it is off, what keeps it from removing rows',
  ],
  resolution: [
    'wait until it is off-peak',
    'VACUUM (ANALYZE) the named tables one after the other, as slowly as autovacuum does',
    'a table whose lock is not free within the limit is left alone, and the report says who holds it',
    'look whether the dead rows are gone',
    'never FULL, which stops everybody: a table that is empty by much is in the report',
  ],
  prevention: [
    'autovacuum_vacuum_scale_factor for large tables that change much',
    'no long transactions, and no replication slot that nobody reads',
  ],
  escalation: [
    'dead rows that stay after a vacuum: the run fails, and says what may hold them back; where an alert or a schedule started the run, the first rung is called',
  ],
  changes:
    'nothing that a query returns: the space of dead rows can be used again, and the statistics are new',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
