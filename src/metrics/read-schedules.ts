import type { Client } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import { readSchedules, type ScheduleState } from '../schedules/read';
import { inTurns } from '../host/in-turns';

const AT_ONCE = 3;
/** Of one reading: a namespace answers about ten requests about schedules a second, of everybody. */
const MAX_READ = 60;

/**
 * Every configured schedule; of more than fit into one reading those that were read the longest ago, and the others as
 * they were. The map is in the order of reading.
 */
export async function readAllSchedules(
  client: Client,
  config: LoadedConfig,
  before: ReadonlyMap<string, ScheduleState> = new Map(),
): Promise<Map<string, ScheduleState>> {
  const known = new Map([...before].filter(([id]) => id in config.schedules));
  const ids = Object.keys(config.schedules).filter((id) => !known.has(id));
  const due = [...ids, ...known.keys()].slice(0, MAX_READ);
  const found = await inTurns(due, AT_ONCE, async (id) => {
    const schedules = { [id]: config.schedules[id]! };
    return (await readSchedules(client, { ...config, schedules }))[0]!;
  });
  due.forEach((id, index) => {
    known.delete(id);
    known.set(id, found[index]!);
  });
  return known;
}
