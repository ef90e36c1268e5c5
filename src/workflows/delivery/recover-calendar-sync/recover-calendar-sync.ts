import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { BusyWindow, CalendarStatus, Connection } from '../../../activities/calendar/calendar';
import { targetOf, type Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, runbook, verificationFailed, type Run, type Verdict } from '../../kit';
import type { recoverCalendarSyncCard } from './card';
import { faultText, isForOwner, type Fault } from './causes';
import { reconnected } from './owners';
import { concernedOf, isOpen, planFor, statusText, troubleText, windowsText } from './plan';
import { namesOf, syncConnected } from './sync';

/** How often owners are asked without one connection fewer to ask for. */
const MAX_FRUITLESS = 3;
const MAX_NAMED = 8;
const LOOKS = 10;

/** Brings calendars back in sync, and proves that times that are taken cannot be booked. */
export const recoverCalendarSync = runbook<typeof recoverCalendarSyncCard>(
  'recoverCalendarSync',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    let status = await look(run, place);
    const unchecked = await uncheckedOf(run, place);
    let isFirst = true;
    await run.gate(async () => {
      if (!isFirst) status = await look(run, place);
      isFirst = false;
      return planFor(place, status, unchecked);
    });
    const concerned = concernedOf(status);
    run.fact('connectionsConcerned', concerned.length);

    const told = new Set<string>();
    let faults = await syncOnce(run, place, status, concerned, isOpen(status.windows));
    // Each is connected again once, and some may be lost again meanwhile.
    const maxTasks = concerned.length + MAX_FRUITLESS;
    for (let [tasks, fruitless, before] = [0, 0, Infinity]; ; tasks += 1) {
      await tell(run, place, faults, told);
      const lost = faults.filter(isForOwner);
      if (lost.length === 0) break;
      fruitless = lost.length < before ? 0 : fruitless + 1;
      before = lost.length;
      if (fruitless === MAX_FRUITLESS || tasks === maxTasks)
        return run.needsHuman(
          `${countOf(lost.length, 'calendar connection')} of ${targetOf(place)} to be reconnected though owners were asked ${countOf(tasks, 'time')}: ${faultsText(lost)}`,
        );
      await run.check('Busy times are taken meanwhile', async (act) =>
        windowsVerdict(await act.checkBusyWindows(place)),
      );
      await reconnected(run, place, status, lost, maxTasks);
      faults = await syncOnce(run, place, status, concerned, false);
    }
    return conclude(run, place, { status, concerned, faults });
  },
);

/** Ends the run where all is well. */
async function look(run: Run, place: Place): Promise<CalendarStatus> {
  const status = await run.step('Read calendars and busy windows', (act) => act.readCalendar(place), {
    kind: 'long',
    undo: 'read-only',
    describe: statusText,
  });
  if (status.troubled > 0 || isOpen(status.windows)) return status;
  const unproven = status.windows.some(({ verdict }) => verdict === 'unproven');
  // That nobody can see a symptom is not that there is none.
  if (unproven) throw verificationFailed(`Busy times are taken: ${statusText(status)}`);
  return run.nothingToDo(`calendars of ${targetOf(place)} are in sync: ${statusText(status)}`);
}

function syncOnce(
  run: Run,
  place: Place,
  status: CalendarStatus,
  concerned: Connection[],
  resync: boolean,
): Promise<Fault[]> {
  const ids = concerned.map(({ id }) => id);
  return run.exclusively(applicationIn(place), (fence) =>
    syncConnected(run, place, fence, { status, ids, resync }),
  );
}

/** Each finding once. What no owner can mend, people hear of at once, while others are asked to reconnect. */
async function tell(run: Run, place: Place, faults: Fault[], told: Set<string>): Promise<void> {
  const news = faults.filter(({ connection, cause }) => !told.has(`${connection.id} ${cause}`));
  news.forEach(({ connection, cause }) => told.add(`${connection.id} ${cause}`));
  for (const fault of news.slice(0, MAX_NAMED))
    run.note(`Finding: ${fault.cause}`, faultText(fault), { failed: true });
  const ours = news.filter((fault) => !isForOwner(fault));
  if (ours.length > 0)
    await run.page(
      `${place.service}: ${countOf(ours.length, 'calendar connection')} not in sync, and reconnecting does not help. ${faultsText(ours)}.`,
    );
}

interface Now {
  connections: Connection[];
  windows: BusyWindow[];
}

async function conclude(
  run: Run,
  place: Place,
  { status, concerned, faults }: { status: CalendarStatus; concerned: Connection[]; faults: Fault[] },
): Promise<string> {
  const verdict = (now: Now) => verdictOf(now, concerned, faults);
  const { connections, windows } = await run.verify(
    'Calendars are in sync, and busy times are taken',
    (act) => untilWell(act, place, { status, concerned }, (now) => faults.length > 0 || verdict(now).ok),
    verdict,
  );
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  run.fact('connectionsInSync', connections.length);
  const gone = concerned.length - connections.length;
  const beyond = status.troubled - concerned.filter(({ trouble }) => trouble !== null).length;
  return [
    `${countOf(connections.length, 'calendar connection')} of ${targetOf(place)} in sync`,
    ...(gone > 0 ? [`${gone} no longer listed`] : []),
    ...(beyond > 0 ? [`${beyond} more are not, and are for the next run`] : []),
    windowsText(windows),
  ].join('; ');
}

/** What was synced may show in availability only a while later. */
async function untilWell(
  act: Activities,
  place: Place,
  { status, concerned }: { status: CalendarStatus; concerned: Connection[] },
  isEnough: (now: Now) => boolean,
): Promise<Now> {
  const ids = concerned.map(({ id }) => id);
  for (let looks = 1; ; looks += 1) {
    const now = {
      connections: await act.followCalendar({ ...place, ids }),
      windows: await act.checkBusyWindows(place),
    };
    if (looks === LOOKS || isEnough(now)) return now;
    await sleep(Math.max(status.settleMs / LOOKS, 100));
  }
}

function verdictOf({ connections, windows }: Now, concerned: Connection[], faults: Fault[]): Verdict {
  const faulty = new Set(faults.map(({ connection }) => connection.id));
  const sick = connections.filter(({ id, trouble }) => trouble !== null || faulty.has(id));
  const well = connections.filter((one) => !sick.includes(one));
  const busy = windowsVerdict(windows);
  if (sick.length === 0)
    return { ok: busy.ok, detail: `${countOf(well.length, 'connection')} in sync; ${busy.detail}` };
  const recovered = well.length === 0 ? '' : ` (${shortNames(well)})`;
  const why = faults.length > 0 ? faultsText(faults) : sick.slice(0, MAX_NAMED).map(troubleText).join(', ');
  return {
    ok: false,
    detail: `${well.length} of ${countOf(concerned.length, 'connection')} in sync${recovered}; not: ${why}. ${busy.detail}`,
  };
}

function windowsVerdict(windows: BusyWindow[]): Verdict {
  return { ok: windows.every(({ verdict }) => verdict === 'busy'), detail: windowsText(windows) };
}

function faultsText(faults: Fault[]): string {
  const more = faults.length > MAX_NAMED ? `; and ${faults.length - MAX_NAMED} more` : '';
  return `${faults.slice(0, MAX_NAMED).map(faultText).join('; ')}${more}`;
}

function shortNames(connections: Connection[]): string {
  const more = connections.length > MAX_NAMED ? ` and ${connections.length - MAX_NAMED} more` : '';
  return `${namesOf(connections.slice(0, MAX_NAMED))}${more}`;
}
