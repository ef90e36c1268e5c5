import type { Config } from '../config/schema';

/** Problems of the schedules that only the runbooks' own schemas, the calendar and the time zones show. */
export function checkSchedules(_config: Config): string[] {
  return [];
}
