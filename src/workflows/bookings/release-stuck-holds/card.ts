import { card } from '../../../doors/pack';
import { databaseEnvironment } from '../../database/inputs';

export const releaseStuckHoldsCard = card({
  name: 'releaseStuckHolds',
  title: 'Release stuck holds',
  area: 'bookings',
  priority: 'P1',
  from: ['travel: 7.1 Booking stuck in HOLD'],
  symptoms: [
    'bookings stay in HOLD past their end; slots are reserved and nobody has them',
    'alert: holds ran out and were not released',
  ],
  impact: 'what could be sold is not on sale; customers find nothing free',
  diagnosis: [
    'holds whose end is past by more than the time of grace, and since when',
    'whether the job that releases holds runs: the age of its last run',
    'the queue of that job: whether it is paused, who works on it, failed jobs and why',
    'idempotency keys in Redis of the requests that made these holds, and requests that came twice',
    'said not to be looked at where they are not configured, or Redis cannot be read',
  ],
  resolution: [
    'end exactly the holds that ran out before the moment of the plan, batch by batch, open their slots, void their links, write it into the audit trail',
    'a hold that is confirmed or prolonged meanwhile is never touched: it is asked again when its row is locked',
    'rows that somebody has locked are passed over, looked at again, and in the end left alone and named',
    'start the job that releases holds again, where that is configured; otherwise a task for a person',
    'verify that no hold is stuck, that the job runs, and that health checks and smoke test hold',
  ],
  prevention: [
    'alert on the age of the last run of the job, and on holds that ran out',
    'let reads treat a hold that ran out as none',
  ],
  escalation: [
    'more holds than the cap allows: nothing is released, and the run fails; where an alert or a schedule started the run, the first rung is called',
    'a job that has stopped and cannot be started by the run: a task, which goes up the ladder',
  ],
  changes:
    'the state of holds that ran out, their slots and links, and rows of the audit trail; put back exactly where the run fails, but not over what somebody changed since. May restart the job',
  input: { environment: databaseEnvironment },
  example: { service: 'booking', environment: 'production', startedBy: 'ana' },
});
