/** A schedule in the words of the configuration, field by field, whichever side it comes from. */
import type { CalendarSpecDescription, ScheduleDescription, ScheduleOptions } from '@temporalio/client';
import { canonicalCron, parseCron, type Calendar } from './cron';
import { DAYS, MONTHS } from './desired';

/** Field -> value; a field that is not set is absent. */
export type Definition = Record<string, unknown>;

const MINUTE_MS = 60_000;

/** What was asked for. */
export function definitionOf(desired: ScheduleOptions): Definition {
  return describe(
    desired,
    (desired.spec.calendars ?? []).map(({ comment }) => comment ?? ''),
  );
}

/** What the server has. */
export function definitionOnServer(description: ScheduleDescription): Definition {
  const { calendars = [], intervals = [], skip = [], startAt, endAt } = description.spec;
  return {
    ...describe(description, calendars.map(cronOf)),
    // Nothing of this comes from a configuration; somebody added it by hand.
    ...(intervals.length > 0 ? { intervals } : {}),
    ...(skip.length > 0 ? { skip: skip.map(cronOf) } : {}),
    ...(startAt === undefined ? {} : { startAt: startAt.toISOString() }),
    ...(endAt === undefined ? {} : { endAt: endAt.toISOString() }),
  };
}

function describe(
  { spec, action, policies }: Pick<ScheduleOptions | ScheduleDescription, 'spec' | 'action' | 'policies'>,
  cron: string[],
): Definition {
  const [input] = action.args as [Record<string, unknown> | undefined];
  return {
    runbook: action.workflowType,
    cron: [...cron].sort(),
    timeZone: spec.timezone ?? 'UTC',
    jitterMinutes: Number(spec.jitter ?? 0) / MINUTE_MS,
    catchUpMinutes: Number(policies?.catchupWindow) / MINUTE_MS,
    overlap: policies?.overlap,
    pauseOnFailure: policies?.pauseOnFailure ?? false,
    note: action.staticDetails ?? '',
    title: action.staticSummary,
    workflowId: action.workflowId,
    taskQueue: action.taskQueue,
    ...Object.fromEntries(Object.entries(input ?? {}).map(([name, value]) => [`input.${name}`, value])),
  };
}

/** The text that it was made from, while that still is what it does. */
function cronOf({ comment = '', second, year, ...rest }: CalendarSpecDescription): string {
  const number =
    (names: string[], first: number) => (range: { start: string; end: string; step: number }) => ({
      start: names.indexOf(range.start) + first,
      end: names.indexOf(range.end) + first,
      step: range.step,
    });
  const calendar: Calendar = {
    minute: rest.minute,
    hour: rest.hour,
    dayOfMonth: rest.dayOfMonth,
    month: rest.month.map(number(MONTHS, 1)),
    dayOfWeek: rest.dayOfWeek.map(number(DAYS, 0)),
  };
  const found = canonicalCron(calendar);
  const onTheMinute = second.length === 1 && second[0]?.start === 0 && second[0].end === 0;
  if (!onTheMinute || year.length > 0) return `${found} with ${JSON.stringify({ second, year })}`;
  return canonicalOrAsIs(comment) === found ? comment : found;
}

/** Equal as JSON, whatever the order of the keys; cron texts are equal when they mean the same times. */
export function isSame(field: string, one: unknown, other: unknown): boolean {
  return stable(comparable(field, one)) === stable(comparable(field, other));
}

function comparable(field: string, value: unknown): unknown {
  return field === 'cron' && Array.isArray(value) ? value.map(canonicalOrAsIs).sort() : value;
}

function canonicalOrAsIs(text: string): string {
  try {
    return canonicalCron(parseCron(text));
  } catch {
    return text;
  }
}

function stable(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
