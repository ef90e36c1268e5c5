import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { Asked, CalendarStatus, Connection } from '../../../activities/calendar/calendar';
import type { Fence, Place } from '../../../contract/place';
import { countOf, type Run } from '../../kit';
import { causeOfRefusal, faultAfterSync, nameOf, type Fault } from './causes';

export interface Work {
  status: CalendarStatus;
  ids: string[];
  /** Also those that are said to be in sync: what they are said to know is not known. */
  resync: boolean;
}

/** How often one request is repeated that is refused for a moment. */
const MAX_TRIES = 3;
const WAIT_MS = 5_000;
/** More rounds that write nothing back prove nothing more. */
const MAX_IDLE = 2;
const MAX_LOOKS = 20;

/** Syncs and writes back whatever is connected. Returns what is wrong then. */
export async function syncConnected(run: Run, place: Place, fence: Fence, work: Work): Promise<Fault[]> {
  const before = await follow(run, place, work.ids);
  const due = before.filter(
    ({ state, trouble }) =>
      state === 'connected' && (work.resync || (trouble !== null && trouble !== 'backlog')),
  );
  const faults: Fault[] = before.flatMap((connection) => {
    const { state, error } = connection;
    return state === 'connected'
      ? []
      : [{ connection, cause: state, said: error ?? `its state is ${state}` }];
  });
  for (const provider of new Set(due.map((one) => one.provider))) {
    const its = due.filter((one) => one.provider === provider);
    faults.push(...(await syncProvider(run, place, fence, { provider, before: its, work })));
  }
  const sick = new Set(faults.map(({ connection }) => connection.id));
  const well = work.ids.filter((id) => !sick.has(id));
  return [...faults, ...(await writeBack(run, place, fence, { ...work, ids: well }))];
}

async function syncProvider(
  run: Run,
  place: Place,
  fence: Fence,
  { provider, before, work }: { provider: string; before: Connection[]; work: Work },
): Promise<Fault[]> {
  const { status } = work;
  if (!status.providers.includes(provider)) {
    const said = `calendar.providers.${provider} is not configured`;
    return before.map((connection) => ({ connection, cause: 'unconfigured', said }));
  }
  const asked = await insist(run, `Sync ${provider}`, status, `calendars of ${provider} were synced`, (act) =>
    act.syncCalendar({ ...place, fence, provider }),
  );
  const lastOf = new Map(before.map(({ id, lastSync }) => [id, lastSync]));
  const faultsOf = (now: Connection[]) =>
    now.flatMap((one) => faultAfterSync(one, lastOf.get(one.id) ?? null, asked) ?? []);
  const ids = [...lastOf.keys()];
  const after = asked.ok
    ? await followUntil(run, place, ids, status, (now) => faultsOf(now).length === 0)
    : await follow(run, place, ids);
  const faults = faultsOf(after);
  run.note(
    `What ${provider} says`,
    `${ids.length - faults.length} of ${countOf(ids.length, 'connection')} synced`,
    { failed: faults.length > 0 },
  );
  return faults;
}

/** Round by round, until nothing waits or a further round is no use. */
async function writeBack(run: Run, place: Place, fence: Fence, { status, ids }: Work): Promise<Fault[]> {
  let now = (await follow(run, place, ids)).filter(({ backlog }) => (backlog ?? 0) > 0);
  if (now.length === 0) return [];
  const faultsBy = (cause: Fault['cause'], why: string): Fault[] =>
    now.flatMap((connection) =>
      connection.trouble === null
        ? []
        : [
            {
              connection,
              cause,
              said: `${countOf(connection.backlog ?? 0, 'change')} wait to be written back; ${why}`,
            },
          ],
    );
  if (!status.canWriteBack) return faultsBy('unconfigured', 'calendar.writeback is not configured');
  const waiting = now.map(({ id }) => id);
  let [rounds, idle] = [0, 0];
  while (backlogOf(now) > 0 && rounds < status.maxRounds && idle < MAX_IDLE) {
    rounds += 1;
    const title = `Write back, round ${rounds} of ${status.maxRounds}`;
    const asked = await insist(run, title, status, 'changes were written into calendars', (act) =>
      act.writeBackCalendar({ ...place, fence }),
    );
    if (!asked.ok) return faultsBy(causeOfRefusal(asked), asked.detail);
    const before = backlogOf(now);
    now = await followUntil(run, place, waiting, status, (then) => backlogOf(then) < before);
    idle = backlogOf(now) < before ? 0 : idle + 1;
  }
  run.note('What waits to be written back', countOf(backlogOf(now), 'change'), {
    failed: backlogOf(now) > 0,
  });
  return backlogOf(now) === 0 ? [] : faultsBy('backlog', `${countOf(rounds, 'round')} answered well`);
}

/** Asks for it, and again where that may help, not before somebody wants it. */
async function insist(
  run: Run,
  title: string,
  { patienceMs }: CalendarStatus,
  irreversible: string,
  call: (act: Activities) => Promise<Asked>,
): Promise<Asked> {
  for (let tries = 1; ; tries += 1) {
    const asked = await run.step(title, call, {
      kind: 'mutate',
      undo: { irreversible, unless: ({ ok, nothing }) => !ok && (nothing || 'unknown') },
      describe: ({ detail }) => detail,
    });
    if (asked.ok || !asked.again || tries === MAX_TRIES) return asked;
    const waitMs = asked.waitMs ?? tries * WAIT_MS;
    if (waitMs > patienceMs) return asked;
    await sleep(waitMs);
  }
}

export function follow(run: Run, place: Place, ids: string[]): Promise<Connection[]> {
  return run.look('Status of the calendars', (act) => act.followCalendar({ ...place, ids }));
}

/** Looks until it holds, for as long as a sync may take to be seen. */
async function followUntil(
  run: Run,
  place: Place,
  ids: string[],
  { settleMs }: CalendarStatus,
  holds: (now: Connection[]) => boolean,
): Promise<Connection[]> {
  const deadline = Date.now() + settleMs;
  for (;;) {
    const now = await follow(run, place, ids);
    if (holds(now) || Date.now() >= deadline) return now;
    await sleep(Math.max(settleMs / MAX_LOOKS, 100));
  }
}

function backlogOf(connections: Connection[]): number {
  return connections.reduce((sum, { backlog }) => sum + (backlog ?? 0), 0);
}

export function namesOf(connections: Connection[]): string {
  return connections.map(nameOf).join(', ');
}
