import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const recoverFromDisasterCard = card({
  name: 'recoverFromDisaster',
  title: 'Recover from a disaster',
  area: 'recovery',
  priority: 'P0',
  from: ['assistant: Complete System Failure'],
  symptoms: [
    'the whole system is down: nothing answers',
    'the database was dropped, emptied or damaged, or its server was lost',
    'several parts are gone at once, as after the failure of a data center',
  ],
  impact: 'nobody can work with the service; what was written since the newest backup may be lost',
  diagnosis: [
    'what there is of the live database, every table read',
    'the backups on the disks of the workers and off site, and which were proven',
    'health and error rate of the application, and which deployment is in front',
    'services of others, and the environment variables of the application',
    'what is well is said and left alone',
  ],
  resolution: [
    'open an incident of P0, or add to the one that is open',
    'a server of the database that does not answer: a task, which is over when it answers',
    'a database that is gone, emptied or damaged: restoreDatabase with the newest backup; where that fails, with the newest that was proven; each asks for its own approval',
    'environment variables that are missing: a task that names them',
    'an application that does not serve by then: rollBackDeployment to the last good deployment; where nothing can be rolled back, a task',
    'verify health, invariants, the smoke test, services of others and webhooks; measure RTO and RPO from the beginning of the outage',
    'announce the outage, and its end, for which a task has the words where no channel takes them; a service that is known to serve is not announced to be down',
  ],
  prevention: [
    'daily backups with a copy off site, weekly restore drills',
    'the environment variables of the application kept where a new host can have them from',
    'drills of the whole: an objective that nobody measures is a hope',
  ],
  escalation: [
    'an incident of P0 leads the communication and pages its ladder',
    'a part that could not be recovered: NEEDS_HUMAN pages the ladder',
  ],
  changes: 'nothing itself; restoreDatabase and rollBackDeployment change what their own plans say',
  input: { environment: databaseEnvironment.describe('environment that is down') },
  example: { service: 'booking', environment: 'production', startedBy: 'ana', reason: 'nothing answers' },
});
