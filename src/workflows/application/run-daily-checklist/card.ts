import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const runDailyChecklistCard = card({
  name: 'runDailyChecklist',
  title: 'Run the daily checklist',
  area: 'application',
  priority: 'P2',
  from: ['travel: 5 Daily and Shift Checklist'],
  symptoms: ['the schedule of the morning is due', 'a shift begins, and nobody knows how things are'],
  impact: 'what goes wrong slowly is noticed by customers first',
  diagnosis: [
    'readiness of every deployed environment, and the smoke test of staging',
    'error rate and every other measure against its bands; depths, delays and failures of queues among them',
    'the log since the checklist before: top stack traces, repeated warnings on booking transitions and payment webhooks',
    'the database: connections, statements that run for long, slow statements, lock waits, deadlocks',
    'jobs that a scheduler starts',
    'backups, by a run of checkBackups: age, integrity, retention, copies off site',
  ],
  resolution: [
    'each item is green, yellow, red or not configured, with its figure, its objective and the runbook that deals with it',
    'one that cannot be read, or gives no answer in time, is yellow and hides no other; where silence is the symptom, red',
    'red items open one incident; while that is open, or its post-mortem, a later checklist adds to it, and opens it again where it was resolved',
    'yellow and red items are told to everybody',
  ],
  prevention: [
    'a schedule on the mornings of working days',
    'configure what is missing: it stands as a warning in the plan',
  ],
  escalation: ['red items: whoever leads the incident, along the ladder'],
  changes: 'nothing; it may open an incident, which changes what the plan of its runbook says',
  input: { environment: databaseEnvironment.describe('environment that is looked at') },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
