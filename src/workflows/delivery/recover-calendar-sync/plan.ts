import type { BusyWindow, CalendarStatus, Connection } from '../../../activities/calendar/calendar';
import type { Place } from '../../../contract/place';
import { applicationIn } from '../../application/serving';
import { countOf, type PlanDraft } from '../../kit';
import { nameOf } from './causes';

const MAX_NAMED = 8;

/** What this run is about: those in trouble, or all where busy times can be booked. */
export function concernedOf({ connections, windows }: CalendarStatus): Connection[] {
  return isOpen(windows) ? connections : connections.filter(({ trouble }) => trouble !== null);
}

/** Whether something that is taken can be booked. */
export function isOpen(windows: BusyWindow[]): boolean {
  return windows.some(({ verdict }) => verdict === 'free');
}

export function statusText({ connections, total, troubled, windows }: CalendarStatus): string {
  const sick = connections.filter(({ trouble }) => trouble !== null);
  const named = sick.slice(0, MAX_NAMED).map(troubleText);
  const more = troubled > named.length ? ` and ${troubled - named.length} more` : '';
  const list = named.length === 0 ? '' : `: ${named.join(', ')}${more}`;
  return `${troubled} of ${countOf(total, 'connection')} not in sync${list}; ${windowsText(windows)}`;
}

export function troubleText(connection: Connection): string {
  const { trouble, lastSync, backlog } = connection;
  const last = lastSync === null ? '' : `, synced at ${lastSync}`;
  const waits = (backlog ?? 0) > 0 ? `, ${countOf(backlog!, 'change')} to be written back` : '';
  return `${nameOf(connection)} (${trouble ?? 'in sync'}${last}${waits})`;
}

export function windowsText(windows: BusyWindow[]): string {
  if (windows.length === 0) return 'no busy window was looked at';
  const wrong = windows.filter(({ verdict }) => verdict !== 'busy');
  if (wrong.length === 0) return `${countOf(windows.length, 'busy window')} cannot be booked`;
  return wrong
    .slice(0, MAX_NAMED)
    .map(
      ({ name, verdict, detail }) =>
        `busy window "${name}" ${verdict === 'free' ? 'can be booked' : 'is not proven'}: ${detail}`,
    )
    .join('; ');
}

export function planFor(place: Place, status: CalendarStatus, unchecked: string[]): PlanDraft {
  const concerned = concernedOf(status);
  const target = applicationIn(place);
  const lost = concerned.filter(({ state }) => state !== 'connected');
  const due = concerned.filter(({ state, trouble }) => state === 'connected' && trouble !== 'backlog');
  const waits = concerned.filter(({ backlog }) => (backlog ?? 0) > 0);
  const beyond = status.troubled - concerned.filter(({ trouble }) => trouble !== null).length;
  const providers = [...new Set([...due, ...lost].map(({ provider }) => provider))].sort();
  return {
    actions: [
      ...providers.map((provider) => ({
        action: `sync ${provider}`,
        target,
        count: concerned.filter((one) => one.provider === provider).length,
        detail: due.some((one) => one.provider === provider) ? 'at once' : 'when one is connected again',
      })),
      ...(waits.length > 0 && status.canWriteBack
        ? [
            {
              action: 'write back what waits',
              target,
              count: waits.length,
              detail: `${countOf(status.maxRounds, 'round')} at most`,
            },
          ]
        : []),
      ...(lost.length > 0
        ? [{ action: 'a task for people: reconnect', target, count: lost.length, detail: shortList(lost) }]
        : []),
    ],
    warnings: [
      'a sync of a provider concerns all of its connections, and what is written into a calendar cannot be taken back',
      ...(isOpen(status.windows) ? ['times that are taken can be booked at this moment'] : []),
      ...status.windows
        .filter(({ verdict }) => verdict === 'unproven')
        .map(({ name, detail }) => `busy window "${name}" proves nothing: ${detail}`.slice(0, 300)),
      ...(beyond > 0 ? [`${beyond} more are not in sync than one run follows: start again for them`] : []),
      ...status.unconfigured,
      ...unchecked,
    ],
    // Not their backlog, and not their times: those go on while the plan waits.
    facts: {
      concerned: concerned
        .map(({ id, state }) => `${id} ${state}`)
        .sort()
        .join(', '),
    },
  };
}

function shortList(connections: Connection[]): string {
  const more = connections.length > MAX_NAMED ? ` and ${connections.length - MAX_NAMED} more` : '';
  return `${connections
    .slice(0, MAX_NAMED)
    .map((one) => `${nameOf(one)} (${one.state})`)
    .join(', ')}${more}`;
}
