import type { CronRef, CronStatus } from '../../../activities/application/crons';
import { targetOf } from '../../../contract/place';
import { duration, type PlanDraft } from '../../kit';
import { applicationIn } from '../serving';

/** It has stopped, or it runs and does nothing. */
export function mustRun({ stale, undone }: CronStatus): boolean {
  return stale || (undone ?? 0) > 0;
}

export function isLost({ schedule }: CronStatus): boolean {
  return schedule === 'lost';
}

export function isWell(status: CronStatus): boolean {
  return !mustRun(status) && !isLost(status);
}

export function findingOf({ job }: CronRef, { stale, ageMs, undone, everyMs }: CronStatus): string {
  if (stale)
    return ageMs === null
      ? `${job} never ran`
      : `${job} has not run for ${duration(ageMs)}, and should every ${duration(everyMs)}`;
  if ((undone ?? 0) > 0) return `${job} runs, and leaves ${undone} undone`;
  return `the platform has lost the schedule of ${job}`;
}

export function urgencyOf({ healsLazily }: CronStatus): { title: string; why: string } {
  return healsLazily
    ? { title: 'Not urgent', why: 'reads do its work where it is late: nothing wrong is shown or sold' }
    : { title: 'Urgent', why: 'nothing else does its work' };
}

/** What comes and goes by itself, such as ages and counts, is not in it, so that an approval lasts. */
export function planFor(cron: CronRef, status: CronStatus): PlanDraft {
  const { job } = cron;
  const actions: PlanDraft['actions'] = [];
  if (mustRun(status)) actions.push({ action: 'run once', target: `${targetOf(cron)}/${job}` });
  actions.push({
    action: schedulerAction(status),
    target: applicationIn(cron),
    detail: `the schedule of ${job}`,
  });
  return {
    actions,
    warnings: warningsOf(job, status),
    facts: { job, lastRun: status.lastRunAt ?? 'never', schedule: status.schedule ?? 'not configured' },
  };
}

/** What may become of its scheduler. */
function schedulerAction(status: CronStatus): string {
  const last = status.canRedeploy ? 'redeploy' : 'a task for a person';
  if (isLost(status)) return last;
  const patience = duration(patienceOf(status));
  if (isWatched(status)) return `if it does not run by itself within ${patience}, ${last}`;
  return `a task for a person: whether it runs by itself within ${patience}`;
}

function warningsOf(job: string, { undone, schedule, canRedeploy }: CronStatus): string[] {
  const setting = (name: string): string => `application.crons.${job}.${name} is not configured`;
  return [
    ...(undone === null
      ? [`${setting('undone')}: only the time of the last run tells whether it works`]
      : []),
    ...(schedule === null
      ? [`${setting('schedule')}: whether the platform has lost it is only seen by waiting`]
      : []),
    ...(schedule === 'unknown' ? ['the schedule of the platform cannot be read now'] : []),
    ...(canRedeploy ? [] : [`${setting('redeploy')}: a lost schedule is a task for a person`]),
  ];
}

/** Within that a job that is well has run by itself. */
export function patienceOf({ everyMs, settleMs }: CronStatus): number {
  return 2 * everyMs + settleMs;
}

/** A run that watches for longer would keep others from their place. */
const MAX_WATCH_MS = 3_600_000;

export function isWatched(status: CronStatus): boolean {
  return patienceOf(status) <= MAX_WATCH_MS;
}
