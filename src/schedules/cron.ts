/**
 * Five cron fields, read into the calendar that a Temporal Schedule keeps. Only what every cron reads alike is taken:
 * `*`, numbers, names, ranges, lists, and steps over `*` or a range. Where both days are given, both must match.
 */

/** Values from `start` to `end`, both included, every `step`. */
export interface Range {
  start: number;
  end: number;
  step: number;
}

/** One entry per cron field. Months from 1, days of the week from 0 for Sunday. */
export type Calendar = Record<FieldName, Range[]>;

export type FieldName = 'minute' | 'hour' | 'dayOfMonth' | 'month' | 'dayOfWeek';

interface Field {
  name: FieldName;
  label: string;
  min: number;
  max: number;
  /** Of the values from `min` on. */
  names: string[];
}

const MONTHS = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ');
const DAYS = 'SUN MON TUE WED THU FRI SAT'.split(' ');

export const FIELDS: Field[] = [
  { name: 'minute', label: 'minute', min: 0, max: 59, names: [] },
  { name: 'hour', label: 'hour', min: 0, max: 23, names: [] },
  { name: 'dayOfMonth', label: 'day of month', min: 1, max: 31, names: [] },
  { name: 'month', label: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'dayOfWeek', label: 'day of week', min: 0, max: 6, names: DAYS },
];

/** Reads five fields. Throws an Error that names the field and what it may be. */
export function parseCron(text: string): Calendar {
  const parts = text.trim().split(/\s+/);
  if (parts.length !== FIELDS.length) {
    throw new Error(
      `"${text}" has ${parts.length} field${parts.length === 1 ? '' : 's'}, wanted five: minute hour day-of-month month day-of-week`,
    );
  }
  return Object.fromEntries(
    FIELDS.map((field, index) => [field.name, parseField(field, parts[index] as string)]),
  ) as Calendar;
}

function parseField(field: Field, text: string): Range[] {
  return text.split(',').flatMap((part) => parsePart(field, part));
}

function parsePart(field: Field, part: string): Range[] {
  const wrong = (why: string) =>
    new Error(`${field.label} "${part}": ${why}; wanted ${field.min}-${field.max}${namesOf(field)}`);
  const match = /^(?:(\*)|(\w+)(?:-(\w+))?)(?:\/(\d+))?$/.exec(part);
  if (match === null) throw wrong('only *, numbers, names, a-b, lists and steps over them are understood');
  const [, star, from, to, every] = match;
  const step = every === undefined ? 1 : Number(every);
  // `3/5` is "from 3 on" for some and "only 3" for others.
  if (every !== undefined && star === undefined && to === undefined)
    throw wrong('a step needs * or a range before it');
  if (step < 1) throw wrong('a step is at least 1');
  if (star !== undefined) return [{ start: field.min, end: field.max, step }];
  const start = valueOf(field, from as string);
  const end = to === undefined ? start : valueOf(field, to);
  if (start === undefined || end === undefined) throw wrong('out of range');
  if (end < start) throw wrong('a range goes upwards');
  return foldSunday(field, { start, end, step });
}

function valueOf({ name, min, max, names }: Field, text: string): number | undefined {
  const index = names.indexOf(text.toUpperCase());
  if (index >= 0) return min + index;
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  // Cron knows two numbers for Sunday.
  return value >= min && value <= (name === 'dayOfWeek' ? 7 : max) ? value : undefined;
}

function foldSunday({ name }: Field, range: Range): Range[] {
  if (name !== 'dayOfWeek' || range.end < 7) return [range];
  return valuesOf([range]).map((value) => ({ start: value % 7, end: value % 7, step: 1 }));
}

function namesOf({ names }: Field): string {
  return names.length === 0 ? '' : ` or ${names[0]}-${names.at(-1)}`;
}

/** Every value of a field, in order. */
export function valuesOf(ranges: Range[]): number[] {
  const all = ranges.flatMap(({ start, end, step }) =>
    Array.from({ length: Math.floor((end - start) / step) + 1 }, (_, index) => start + index * step),
  );
  return [...new Set(all)].sort((a, b) => a - b);
}

/** The one text of all that mean the same times, e.g. to compare. */
export function canonicalCron(calendar: Calendar): string {
  return FIELDS.map((field) => {
    const values = valuesOf(calendar[field.name]);
    return values.length === field.max - field.min + 1 ? '*' : runsOf(values).join(',');
  }).join(' ');
}

function runsOf(values: number[]): string[] {
  const runs: number[][] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last !== undefined && last.at(-1) === value - 1) last.push(value);
    else runs.push([value]);
  }
  return runs.map((run) => (run.length === 1 ? `${run[0]}` : `${run[0]}-${run.at(-1)}`));
}
