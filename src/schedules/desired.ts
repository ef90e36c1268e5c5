import { ScheduleOverlapPolicy, type ScheduleOptions } from '@temporalio/client';
import type { ScheduleConfig } from '../config/schedule-schema';
import type { Config } from '../config/schema';
import type { WithCatalogue } from '../catalogue/catalogue';
import { priorityOf } from '../contract/priority';
import { parseCron, type Calendar, type Range } from './cron';
import { jitterMs, startInput, timesOf } from './input';

/** In the memo of every schedule that was made from a configuration; others are never touched. */
export const MANAGED_BY = 'durable-runbooks';

/** The calendar fields as the server gives them back. */
export const MONTHS = [
  ...(['JANUARY', 'FEBRUARY', 'MARCH', 'APRIL', 'MAY', 'JUNE', 'JULY'] as const),
  ...(['AUGUST', 'SEPTEMBER', 'OCTOBER', 'NOVEMBER', 'DECEMBER'] as const),
];
export const DAYS = [
  ...(['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const),
];

const MINUTE_MS = 60_000;

/** What the server shall have for the schedule of that ID. The configuration has been checked. */
export function desiredSchedule(config: Config & WithCatalogue, id: string): ScheduleOptions {
  const schedule = config.schedules[id] as ScheduleConfig;
  const service = String(schedule.input['service']);
  const { taskQueue } = config.temporal;
  return {
    scheduleId: id,
    spec: {
      calendars: timesOf(schedule).cron.map((text) => ({ ...toSpec(parseCron(text)), comment: text })),
      timezone: schedule.timeZone,
      jitter: jitterMs(schedule),
    },
    action: {
      type: 'startWorkflow',
      workflowType: schedule.runbook,
      // The server appends the time.
      workflowId: `${schedule.runbook}/${service}/schedule-${id}`,
      taskQueue,
      args: [startInput(id, schedule)],
      staticSummary: `${config.catalogue.cardOf(schedule.runbook)?.title ?? schedule.runbook}: ${service}`,
      ...(schedule.note === '' ? {} : { staticDetails: schedule.note }),
      // The client sends it, and its types do not name it.
      ...({
        priority: priorityOf({ service, priority: config.catalogue.cardOf(schedule.runbook)?.priority }),
      } as object),
    },
    policies: {
      overlap: ScheduleOverlapPolicy.SKIP,
      catchupWindow: schedule.catchUpMinutes * MINUTE_MS,
      pauseOnFailure: schedule.pauseOnFailure,
    },
    // The queue tells apart two configurations in one namespace: what the other one has made is not ours to remove.
    memo: { managedBy: MANAGED_BY, taskQueue },
    state: { paused: schedule.paused, note: schedule.note },
  };
}

/** Whether a schedule with that memo was made from a configuration for that task queue. */
export function isManaged(memo: Record<string, unknown> | undefined, taskQueue: string): boolean {
  return memo?.['managedBy'] === MANAGED_BY && memo['taskQueue'] === taskQueue;
}

function toSpec(calendar: Calendar) {
  return {
    minute: calendar.minute,
    hour: calendar.hour,
    dayOfMonth: calendar.dayOfMonth,
    month: calendar.month.map((range) => named(range, MONTHS, 1)),
    dayOfWeek: calendar.dayOfWeek.map((range) => named(range, DAYS, 0)),
  };
}

function named<Name>({ start, end, step }: Range, names: Name[], first: number) {
  return { start: names[start - first] as Name, end: names[end - first] as Name, step };
}
