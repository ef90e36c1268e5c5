import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../inputs';

export const recoverDatabaseConnectionsCard = card({
  name: 'recoverDatabaseConnections',
  title: 'Recover the connections to the database',
  area: 'database',
  priority: 'P0',
  from: ['assistant: Database Connection Failures'],
  symptoms: [
    '"connection refused" or "too many connections" in the errors of the application',
    'the application cannot start, or its readiness check fails, because it gets no connection',
    'alert: the database cannot be reached',
  ],
  impact: 'whatever needs the database fails, which is nearly everything',
  diagnosis: [
    'what its provider says of the server: runs, paused, starting',
    'a connection with the URL of the worker, and one with the DATABASE_URL of the application: what refuses either of them',
    'told apart: no URL, DNS, refused, nobody answers, paused, starting, too many connections, user or password, not admitted, TLS, database missing, closed or another one, in recovery, read-only',
    'the health checks of the application; its pool against the limits of the server, the database and the role',
  ],
  resolution: [
    'paused, or stopped: start it as the configuration says, and wait until it answers',
    'starting, or names that cannot be resolved now: wait',
    'too many connections: relieveConnectionPool, as a part of this run',
    'everything else, and what did not help: a task for a person with the exact finding; the run goes on by itself when that is mended',
    'once the database answers and takes writes, and not before: restart the application where its health checks still fail',
    'verify that health and error rate are well and stay so, and run the smoke test',
  ],
  prevention: [
    'a database plan that is never paused, and an alert on the expiry of its certificate',
    'one place for DATABASE_URL and its password, changed by rotation and not by hand',
    'a pool that is smaller than the limit of its role, and a limit that leaves connections for operators',
  ],
  escalation: [
    'each task goes up the ladder until somebody has done it',
    'a database that was dropped or lost: restoreDatabase, which the task names',
    'one cause after the other: the run stops and needs a person',
  ],
  changes:
    'may start the server of the database and restart the application, neither of which can be undone; what relieveConnectionPool changes',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
