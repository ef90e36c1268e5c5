import type { Client } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import { readSchedules, type ScheduleState } from '../schedules/read';
import { inTurns } from './in-turns';

const AT_ONCE = 3;

/** Every configured schedule, a few at a time. */
export async function readAllSchedules(client: Client, config: LoadedConfig): Promise<ScheduleState[]> {
  const one = ([id, schedule]: [string, LoadedConfig['schedules'][string]]) =>
    readSchedules(client, { ...config, schedules: { [id]: schedule } });
  return (await inTurns(Object.entries(config.schedules), AT_ONCE, one)).flat();
}
