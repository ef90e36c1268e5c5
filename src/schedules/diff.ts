import { ScheduleNotFoundError, type Client, type ScheduleDescription } from '@temporalio/client';
import type { WithCatalogue } from '../catalogue/catalogue';
import type { Config } from '../config/schema';
import { inTurns } from '../host/in-turns';
import { definitionOf, definitionOnServer, isSame, type Definition } from './definition';
import { desiredSchedule, isManaged } from './desired';
import { timesOf } from './input';
import { clockChanges } from './times';

/** What `apply` would do about one schedule. */
export interface Difference {
  id: string;
  /**
   * `remove`: made from a configuration that no longer has it. `taken`: somebody else's schedule has the ID of a
   * configured one. `unmanaged`: made by hand, left alone.
   */
  what: 'create' | 'change' | 'same' | 'remove' | 'taken' | 'unmanaged';
  changes: Change[];
  /** Sentences about what `apply` leaves as it is, and what one should know. */
  remarks: string[];
  /** As it was read, so that exactly this difference is applied. */
  found?: ScheduleDescription;
}

/** A field that is to change; undefined: not there. */
export interface Change {
  field: string;
  is: unknown;
  wanted: unknown;
}

/** A namespace answers about ten requests about schedules a second, of everybody; what is refused the client asks again. */
export const AT_ONCE = 5;

/** Compares the configuration with the server. Reads only. */
export async function diffSchedules(client: Client, config: Config & WithCatalogue): Promise<Difference[]> {
  const ids = Object.keys(config.schedules);
  const now = new Date();
  const configured = await inTurns(ids, AT_ONCE, (id) => compareOne(client, config, id, now));
  const others: Difference[] = [];
  for await (const { scheduleId, memo } of client.schedule.list()) {
    if (ids.includes(scheduleId)) continue;
    const what = isManaged(memo, config.temporal.taskQueue) ? 'remove' : 'unmanaged';
    others.push({ id: scheduleId, what, changes: [], remarks: [] });
  }
  return [...configured, ...others.sort((a, b) => a.what.localeCompare(b.what) || a.id.localeCompare(b.id))];
}

async function compareOne(
  client: Client,
  config: Config & WithCatalogue,
  id: string,
  now: Date,
): Promise<Difference> {
  const schedule = config.schedules[id]!;
  const wanted = definitionOf(desiredSchedule(config, id));
  const remarks = clockChanges(timesOf(schedule), now);
  const found = await describeSchedule(client, id);
  if (found === undefined) {
    if (schedule.paused) remarks.push('it will be paused, as configured');
    return { id, what: 'create', changes: changesBetween({}, wanted), remarks };
  }
  if (!isManaged(found.memo, config.temporal.taskQueue)) {
    const owner = found.memo?.['taskQueue'];
    const whose = typeof owner === 'string' ? `it belongs to task queue ${owner}` : 'it was made by hand';
    return {
      id,
      what: 'taken',
      changes: [],
      remarks: [`${whose}; give yours another ID, or delete it first`],
    };
  }
  const changes = changesBetween(definitionOnServer(found), wanted);
  const paused = pauseRemark(id, schedule.paused, found);
  if (paused !== undefined) remarks.unshift(paused);
  return { id, what: changes.length === 0 ? 'same' : 'change', changes, remarks, found };
}

/** Whether it is paused is decided by people and by failures, once it exists. */
function pauseRemark(id: string, wanted: boolean, { state }: ScheduleDescription): string | undefined {
  if (state.paused && !wanted)
    return `it stays paused (${state.note || 'no reason given'}); \`runbooks schedules resume ${id}\` ends that`;
  if (!state.paused && wanted)
    return `it runs although the configuration says paused, which counts only when it is created; \`runbooks schedules pause ${id}\` stops it`;
  return undefined;
}

/** Every field in which the two differ. */
export function changesBetween(is: Definition, wanted: Definition): Change[] {
  const fields = [...new Set([...Object.keys(wanted), ...Object.keys(is)])];
  return fields
    .filter((field) => !isSame(field, is[field], wanted[field]))
    .map((field) => ({ field, is: is[field], wanted: wanted[field] }));
}

/** The schedule of that ID, undefined where there is none. */
export async function describeSchedule(client: Client, id: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(id).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}
