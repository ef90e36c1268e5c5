import type { ScheduleConfig } from '../config/schedule-schema';
import { nextStarts, type Times } from './times';

/** What a run of the schedule gets as its input. */
export function startInput(id: string, { input, mode }: ScheduleConfig): Record<string, unknown> {
  return { ...input, ...(mode === undefined ? {} : { mode }), startedBy: `schedule:${id}` };
}

/** When the schedule is due. */
export function timesOf({ cron, timeZone }: ScheduleConfig): Times {
  return { cron: [cron].flat(), timeZone };
}

const MINUTE_MS = 60_000;
const DEFAULT_JITTER_MS = 5 * MINUTE_MS;
/** The same whenever it is asked. A cron that comes once a year has several starts after it. */
const ANY_MONDAY = new Date('2024-01-01T00:00:00Z');
const LOOKED_AT = 20;

/**
 * Within how much of its time a start may come: what is due for a thousand services at the same minute must not all
 * come to the server at once.
 */
export function jitterMs(schedule: ScheduleConfig): number {
  if (schedule.jitterMinutes !== undefined) return schedule.jitterMinutes * MINUTE_MS;
  const starts = nextStarts(timesOf(schedule), ANY_MONDAY, LOOKED_AT).map((at) => at.getTime());
  const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? at));
  return Math.min(DEFAULT_JITTER_MS, ...gaps.map((gap) => Math.round(gap / 10 / 1_000) * 1_000));
}
