import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const tuneSlowQueriesCard = card({
  name: 'tuneSlowQueries',
  title: 'Tune slow queries',
  area: 'database',
  priority: 'P2',
  from: ['booking: Database Performance Issues', 'assistant: Query Performance Issues'],
  symptoms: [
    'responses of the API are slow, or time out',
    'the processors of the database are busy',
    'alert: queries take longer than a second',
  ],
  impact: 'everybody waits, and a slow query holds its connection and its locks for as long as it runs',
  diagnosis: [
    'statements that take longer than `tuning.slowMs` on average, a second as a rule, from pg_stat_statements',
    'what the application itself recommends, where it says so',
    'tables that are read from their beginning to their end; columns by which slow statements search and no index begins',
    'indexes that nothing uses; a read of few rows that is called again and again (N+1)',
  ],
  resolution: [
    'restore the newest backup into a disposable cluster, make each change there, and look at the plans of all known statements of the table before and after',
    'create the indexes that save enough and harm no statement, also those of several columns, without stopping writes',
    'drop the indexes that nothing uses, where no known statement would cost more',
    'look at the plans of the live server; then watch the times of the statements',
    'what only people can do (rewrite a query, cache its result, a loop of queries) is in the report',
  ],
  prevention: [
    'pg_stat_statements on every server',
    'reviewIndexes every three months',
    'an index with every migration that adds a search',
  ],
  escalation: [
    'slow and no index helps: nothing is changed, and everybody is told which statements; a person rewrites the query, or puts a cache in front of it',
  ],
  changes:
    'creates and drops indexes; each goes back where the plans do not become as good as they were on the copy',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
