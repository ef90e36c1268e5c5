import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const relieveConnectionPoolCard = card({
  name: 'relieveConnectionPool',
  title: 'Relieve the connection pool',
  area: 'database',
  priority: 'P1',
  from: ['assistant: High Connection Pool Utilization', 'travel: 6 Incident Response'],
  symptoms: [
    'alert: utilisation of the database connections is high',
    'requests time out while they wait for a connection; "too many connections"',
    'sessions sit idle in a transaction',
  ],
  impact: 'requests wait and then fail; forgotten transactions also hold locks and keep vacuum from its work',
  diagnosis: [
    'connections used against the limits of the server, the database and the roles; the pool of the application',
    'a role that has most of the connections of a full server, and no limit: with the exact statement that sets one, for people',
    'sessions by user, application and state; who is idle in a transaction, or runs one query, for too long',
    'the slow queries that the application itself reports',
  ],
  resolution: [
    'record every session that is over a limit, before anything is done',
    'end exactly the named sessions that sit idle in a transaction: to cancel would not help there',
    'if that is not enough: cancel the named long queries; later end only those that still run the same one',
    'if the pool is what is exhausted and the server has room: raise it by one step',
    'as the last resort restart the application; then watch that the utilisation stays below the limit',
    'never touched: replication, autovacuum and other backends, superusers, backups and maintenance, runs of runbooks, prepared transactions, and whom the configuration protects',
  ],
  prevention: [
    'idle_in_transaction_session_timeout and statement_timeout for the role of the application',
    'a CONNECTION LIMIT for it, so that operators always get in',
    'indexes for the slow queries, read replicas for reports',
  ],
  escalation: [
    'still short after the restart, or nothing that may be ended: the run fails; where an alert or a schedule started the run, the first rung is called',
    'the same alert again and again: the breaker calls the first rung, and from then on each run asks; something leaks connections',
  ],
  changes:
    'ends sessions, which cannot be undone (what they did not commit is lost); raises the pool, which is set back when it does not help; may restart the application',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
