import type { VacuumConfig } from '../../../config/tuning-schema';
import type { OffPeak } from '../../../contract/tuning';

const DAY_MINUTES = 1_440;
const MINUTE_MS = 60_000;

/** Whether it is off-peak now, by the clock of a time zone; a window may reach over midnight. */
export function offPeakAt(now: Date, { from, to, timeZone }: VacuumConfig['offPeak']): OffPeak {
  const window = from === to ? 'at any time' : `${from}-${to} ${timeZone}`;
  const [begin, end, minute] = [minutesOf(from), minutesOf(to), minutesOf(clockIn(now, timeZone))];
  const length = (end - begin + DAY_MINUTES) % DAY_MINUTES;
  const since = (minute - begin + DAY_MINUTES) % DAY_MINUTES;
  const open = length === 0 || since < length;
  // Where clocks change in between it is an hour off: whoever waited looks again.
  const until = (minutes: number) => (minutes - since) * MINUTE_MS - (now.getTime() % MINUTE_MS);
  const leftMs = length === 0 ? null : Math.max(0, until(length));
  return { open, waitMs: open ? 0 : until(DAY_MINUTES), leftMs, window };
}

function clockIn(now: Date, timeZone: string): string {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  }).format(now);
}

function minutesOf(clock: string): number {
  const [hours = 0, minutes = 0] = clock.split(':').map(Number);
  return hours * 60 + minutes;
}
