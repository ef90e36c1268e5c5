/**
 * What can be switched while the example runs, by `trouble.ts`. The application, and the servers of others that are played
 * beside it, follow within a second.
 */
import type { ReceiverMood } from '../shared/receiver-moods';
import { switchesOf } from '../shared/switches';
import type { CalendarMood, CalendarProvider } from '../simulators/calendars';

export interface Switches {
  receiver: ReceiverMood;
  calendars: Record<CalendarProvider, CalendarMood>;
  mail: 'well' | 'down';
  /** What the newest run of CI on main came to. */
  ci: 'success' | 'failure';
  /** The application's own job that reads calendars, and the one that writes to them. */
  jobs: { sync: boolean; writeback: boolean };
}

const WELL: CalendarMood = { answers: 'well', revokedAt: null, away: false };

export const DEFAULT_SWITCHES: Switches = {
  receiver: 'well',
  calendars: { google: WELL, microsoft: WELL },
  mail: 'well',
  ci: 'success',
  jobs: { sync: true, writeback: true },
};

export const { read: readSwitches, set: setSwitches, follow: followSwitches } = switchesOf(DEFAULT_SWITCHES);

export function setCalendar(
  directory: string,
  provider: CalendarProvider,
  changed: Partial<CalendarMood>,
): void {
  const { calendars } = readSwitches(directory);
  setSwitches(directory, {
    calendars: { ...calendars, [provider]: { ...calendars[provider], ...changed } },
  });
}
