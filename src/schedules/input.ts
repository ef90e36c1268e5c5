import type { ScheduleConfig } from '../config/schedule-schema';
import type { Times } from './times';

/** What a run of the schedule gets as its input. */
export function startInput(id: string, { input, mode }: ScheduleConfig): Record<string, unknown> {
  return { ...input, ...(mode === undefined ? {} : { mode }), startedBy: `schedule:${id}` };
}

/** When the schedule is due. */
export function timesOf({ cron, timeZone }: ScheduleConfig): Times {
  return { cron: [cron].flat(), timeZone };
}
