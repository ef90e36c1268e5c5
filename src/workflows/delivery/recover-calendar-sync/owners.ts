import type { CalendarStatus, Connection } from '../../../activities/calendar/calendar';
import { targetOf, type Place } from '../../../contract/place';
import { countOf, type Run, type TaskCheck } from '../../kit';
import { nameOf, type Fault } from './causes';

const MAX_NAMED = 8;
const LOOK_EVERY_MS = 60_000;
/** However long people may take: each look stays in the history for good. Of one task, and of all of a run. */
const MAX_LOOKS = 400;
const MAX_LOOKS_IN_ALL = 2_000;

/** Asks people to reconnect, and returns as soon as one of these is connected again. */
export async function reconnected(
  run: Run,
  place: Place,
  status: CalendarStatus,
  lost: Fault[],
  maxTasks: number,
): Promise<void> {
  const watched = lost.every(({ cause }) => cause !== 'token');
  const looks = Math.min(MAX_LOOKS, MAX_LOOKS_IN_ALL / maxTasks);
  const everyMs = Math.max(LOOK_EVERY_MS, run.policy.humanWaitMs / looks);
  await run.task(
    taskText(place, status, lost, watched),
    // One that says that it is connected all along does not say when it is again.
    watched ? checkFor(place, lost, everyMs) : undefined,
  );
}

function taskText(place: Place, status: CalendarStatus, lost: Fault[], watched: boolean): string {
  const named = lost
    .slice(0, MAX_NAMED)
    .map(
      ({ connection, cause, said }) =>
        `${nameOf(connection)} (${cause}; ${said}): ${linkFor(connection, status)}`,
    );
  const more = lost.length > MAX_NAMED ? ` And ${lost.length - MAX_NAMED} more.` : '';
  const next = watched
    ? 'Each is synced when the status says that it is connected again; nobody needs to say so.'
    : 'Say that it is done, and they are synced.';
  return `${countOf(lost.length, 'calendar connection')} of ${targetOf(place)} to be reconnected by their owners. ${named.join('; ')}.${more} ${next}`;
}

function linkFor({ provider, id }: Connection, { reconnect }: CalendarStatus): string {
  const link = reconnect[provider];
  if (link === undefined) return 'where, is not configured';
  return link.replaceAll('{connection}', encodeURIComponent(id));
}

function checkFor(place: Place, lost: Fault[], everyMs: number): TaskCheck {
  const ids = lost.map(({ connection }) => connection.id);
  return {
    title: 'Is one connected again?',
    everyMs,
    call: async (act) => {
      const now = await act.followCalendar({ ...place, ids });
      const still = now.filter(({ state }) => state !== 'connected');
      if (still.length < ids.length)
        return { ok: true, detail: `${ids.length - still.length} of ${ids.length}` };
      return {
        ok: false,
        detail: still
          .slice(0, MAX_NAMED)
          .map((one) => `${nameOf(one)} is ${one.state}`)
          .join(', '),
      };
    },
  };
}
