/** When a schedule is due: cron fields on the clock of a time zone, and what the clock's changes do to them. */
import { Cron } from 'croner';
import { utc } from '../contract/text';

/** When something is due. */
export interface Times {
  cron: string[];
  timeZone: string;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
// More starts than this on one day, and the loss of one on the night of a change says little.
const FEW = 4;

/** What the clock reads then, as if it were UTC. */
export function wallClock(at: Date, timeZone: string): Date {
  return new Date(at.getTime() + offsetMs(at.getTime(), timeZone));
}

/** `Mon 2026-11-23 05:00` on the clock of that zone. */
export function inZone(at: Date, timeZone: string): string {
  const wall = wallClock(at, timeZone);
  return `${wall.toUTCString().slice(0, 3)} ${wall.toISOString().slice(0, 16).replace('T', ' ')}`;
}

/** `2026-11-23 04:00 UTC (Mon 2026-11-23 05:00 Europe/Berlin)` of an ISO time. */
export function timeText(iso: string, timeZone: string): string {
  const local = timeZone === 'UTC' ? '' : ` (${inZone(new Date(iso), timeZone)} ${timeZone})`;
  return `${utc(iso).slice(0, 16)} UTC${local}`;
}

/**
 * The next starts after `from`, in order; fewer where there are no more. On the night when a time comes twice both are
 * here: of the server's starts at most one more than there are.
 */
export function nextStarts({ cron, timeZone }: Times, from: Date, count: number): Date[] {
  const starts = cron.flatMap((fields) => {
    const found: number[] = [];
    // A little earlier: the clock may have been set back since.
    let wall: Date | null = new Date(wallClock(from, timeZone).getTime() - 3 * HOUR_MS);
    while (found.length < count) {
      wall = nextWall(fields, wall);
      if (wall === null) break;
      found.push(...instantsOf(wall, timeZone).filter((at) => at > from.getTime()));
    }
    return found;
  });
  return [...new Set(starts)]
    .sort((a, b) => a - b)
    .slice(0, count)
    .map((at) => new Date(at));
}

const AHEAD_DAYS = 370;

/** Sentences about the nights in the year after `from` on which a time is missing or comes twice. */
export function clockChanges({ cron, timeZone }: Times, from: Date): string[] {
  return daysOfChange(timeZone, from).flatMap((day) =>
    cron.flatMap((fields) => changedOn(fields, timeZone, day)),
  );
}

/** For one moment the same in every schedule of a zone, and a thousand of them ask. */
const known = new WeakMap<Date, Map<string, number[]>>();

/** The days in the year after `from`, which begin at its time of day, within which the clock of the zone is changed. */
function daysOfChange(timeZone: string, from: Date): number[] {
  const ofMoment = known.get(from) ?? new Map<string, number[]>();
  known.set(from, ofMoment);
  const found = ofMoment.get(timeZone) ?? [];
  if (ofMoment.has(timeZone)) return found;
  ofMoment.set(timeZone, found);
  let before = offsetMs(from.getTime(), timeZone);
  for (let index = 0; index < AHEAD_DAYS; index += 1) {
    const day = from.getTime() + index * DAY_MS;
    const after = offsetMs(day + DAY_MS, timeZone);
    if (after !== before) found.push(day);
    before = after;
  }
  return found;
}

function changedOn(fields: string, timeZone: string, day: number): string[] {
  const end = wallClock(new Date(day + DAY_MS), timeZone);
  const walls: Date[] = [];
  let wall = nextWall(fields, wallClock(new Date(day), timeZone));
  for (; wall !== null && wall <= end && walls.length <= FEW; wall = nextWall(fields, wall)) walls.push(wall);
  if (walls.length > FEW) return [];
  return walls.flatMap((one) => {
    const count = instantsOf(one, timeZone).length;
    const [date, time] = [one.toISOString().slice(0, 10), one.toISOString().slice(11, 16)];
    if (count === 0)
      return [`on ${date} there is no ${time} in ${timeZone}: the clock is set forward, nothing starts`];
    return count === 2 ? [`on ${date} ${time} comes twice in ${timeZone}: it may start twice`] : [];
  });
}

/** Throws what croner says of fields that it cannot read; null where no such day ever comes. */
export function nextWall(fields: string, after: Date): Date | null {
  // Like Temporal, and unlike most crons: both days must match where both are given.
  return new Cron(fields, { timezone: 'UTC', domAndDow: true }).nextRun(after);
}

/** The instants at which the zone's clock reads that: none when it is set forward over it, two when it is set back. */
function instantsOf(wall: Date, timeZone: string): number[] {
  const near = [-DAY_MS, DAY_MS].map((shift) => offsetMs(wall.getTime() + shift, timeZone));
  return [...new Set(near)]
    .filter((offset) => offsetMs(wall.getTime() - offset, timeZone) === offset)
    .map((offset) => wall.getTime() - offset);
}

const formats = new Map<string, Intl.DateTimeFormat>();

function offsetMs(at: number, timeZone: string): number {
  const format = formats.get(timeZone) ?? newFormat(timeZone);
  const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, Number(value)]));
  const { year, month, day, hour, minute, second } = part as Record<string, number>;
  const wall = Date.UTC(year!, month! - 1, day, hour, minute, second);
  return wall - Math.floor(at / 1_000) * 1_000;
}

function newFormat(timeZone: string): Intl.DateTimeFormat {
  const numeric = 'numeric' as const;
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...{ year: numeric, month: numeric, day: numeric, hour: numeric, minute: numeric, second: numeric },
  });
  formats.set(timeZone, format);
  return format;
}

/** Why Temporal would not know that zone, or nothing. */
export function timeZoneProblem(name: string): string | undefined {
  const wanted = 'wanted an IANA name, e.g. Europe/Berlin or UTC';
  // Newer Intl takes these, the server does not.
  if (/^[+-]/.test(name)) return `"${name}" is an offset; ${wanted}`;
  try {
    const { timeZone } = new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions();
    // The server looks for a file of that very name.
    if (timeZone !== name && timeZone.toLowerCase() === name.toLowerCase())
      return `unknown time zone "${name}"; write ${timeZone}`;
    return undefined;
  } catch {
    return `unknown time zone "${name}"; ${wanted}`;
  }
}
