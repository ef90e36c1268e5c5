import { z } from 'zod';
import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

const cronName = z.string().regex(/^[a-z][a-z0-9-]{0,60}$/, 'a name of application.crons');

export const recoverCronCard = card({
  name: 'recoverCron',
  title: 'Recover a stopped cron job',
  area: 'application',
  priority: 'P2',
  from: ['booking: Cron Failure'],
  symptoms: [
    'the time of the last run, e.g. checks.cron_expire_bookings_last_run_ts of the health endpoint, stands still',
    'what the job should end stays: pending bookings do not expire, slots stay reserved',
  ],
  impact:
    'what the job does is not done; where reads do its work when it is late, nobody is hurt at once, and the finding says so',
  diagnosis: [
    'the time of the last run: older than twice the interval, the job has stopped; one that lies in the future, or that nobody can say, is an error and no answer',
    'what it should have done by now and has not',
    'the schedule that the platform has for it, against the one that it should have',
  ],
  resolution: [
    'run it once, with its secret; a secret that is refused is a task for a person, and then it is run again',
    'verify that the time of the last run moves, and that nothing is left undone: an endpoint that answers 200 and does nothing is found out',
    'a schedule that the platform has lost: redeploy, else a task for a person',
    'wait until the job has run by itself: only that shows that its scheduler is well; where it does not, redeploy, and then a task for a person',
    'nothing is changed where it runs',
  ],
  prevention: [
    'an alert on the age of the last run, and this runbook as its schedule',
    'the secret of the endpoint in one place, for the platform and for the application',
    'a post-mortem entry: cause and evidence are in the report',
  ],
  escalation: [
    'a job that answers and does nothing, or leaves its work undone: the ladder is paged; where reads heal it, it is only announced',
    'a task that nobody does goes up the ladder',
  ],
  changes: 'whatever the job itself changes; may redeploy the application',
  input: {
    environment: databaseEnvironment.describe('environment whose application is meant'),
    job: cronName.optional().describe('which job of application.crons; default: the only one'),
  },
  example: { service: 'booking', job: 'expire-bookings', startedBy: 'ana' },
});
