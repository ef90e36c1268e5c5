import type { Fence, Place } from '../../contract/place';
import type { OperationConfig } from '../../config/http-operation-schema';
import { environmentOf } from '../../config/load';
import type { EnvironmentWith } from '../../config/settings';
import { runFencedChange } from '../postgres/session/fenced-change';
import type { ActivityDeps } from '../support/deps';
import { fail } from '../support/failure';
import { isHttpFailure, problemOf } from '../support/http';
import { currentActivity, withProgress } from '../support/heartbeat';
import { readBusyWindows, type BusyWindow } from './availability';
import { listConnections, type Connection } from './connections';
import type { CalendarConfig, calendarSettings } from './settings';

export type { BusyWindow } from './availability';
export type { Connection, Trouble } from './connections';

/** The calendars of an application at one moment. */
export interface CalendarStatus {
  /** Those in trouble first; at most `maxConnections`. */
  connections: Connection[];
  total: number;
  /** Of all. */
  troubled: number;
  windows: BusyWindow[];
  /** Providers whose sync is configured. */
  providers: string[];
  /** By provider: what whoever reconnects is told. */
  reconnect: Record<string, string>;
  canWriteBack: boolean;
  maxRounds: number;
  settleMs: number;
  patienceMs: number;
  /** What nobody will notice. */
  unconfigured: string[];
}

/** What came of asking the application for something. A refusal is an answer, no error: other calendars go on. */
export interface Asked {
  ok: boolean;
  /** HTTP status of a refusal; null where there was no usable answer. */
  status: number | null;
  detail: string;
  /** Asking again may help, after that time where somebody said so. */
  again: boolean;
  waitMs: number | null;
  /** It surely did nothing; false where it may have heard us, or an earlier attempt. */
  nothing: boolean;
}

/** Calendars that are connected to an application. */
export function createCalendarActivities(deps: ActivityDeps) {
  const { directory } = deps.config;

  function calendarOf({ service, environment }: Place): CalendarConfig {
    const { calendar } = environmentOf(deps.config, service, environment) as EnvironmentWith<
      typeof calendarSettings
    >;
    if (calendar !== undefined) return calendar;
    throw fail(
      'InvalidInput',
      `services.${service}.environments.${environment}.calendar is missing in runbooks.yaml: it says how the status of calendars is read, and how they sync. Add it, then start again.`,
    );
  }

  const read = <T>(phase: string, body: () => Promise<T>): Promise<T> =>
    withProgress({ phase, done: 0, total: 0, unit: 'statements' as const }, body);

  async function asked(
    { fence, ...place }: Place & { fence: Fence },
    operation: OperationConfig,
    action: string,
    parameters: Record<string, string> = {},
  ): Promise<Asked> {
    try {
      const { detail } = await runFencedChange(deps, { ...place, fence }, { operation }, action, parameters);
      return { ok: true, status: null, detail, again: false, waitMs: null, nothing: false };
    } catch (error) {
      if (!isHttpFailure(error)) throw error;
      return refusalOf(error, currentActivity().attempt);
    }
  }

  return {
    /** Reads only, so a retry is safe. Throws InvalidInput, HttpFailed, CalendarUnknown. */
    async readCalendar(place: Place): Promise<CalendarStatus> {
      const config = calendarOf(place);
      return read('read calendars', async () => {
        const all = await listConnections(config, place, directory);
        const troubled = all.filter(({ trouble }) => trouble !== null);
        const well = all.filter(({ trouble }) => trouble === null);
        const { providers } = config;
        return {
          connections: [...troubled, ...well].slice(0, config.maxConnections),
          total: all.length,
          troubled: troubled.length,
          windows: await readBusyWindows(config, place, directory),
          providers: Object.keys(providers),
          reconnect: Object.fromEntries(
            Object.entries(providers).flatMap(([name, { reconnect }]) =>
              reconnect === undefined ? [] : [[name, reconnect]],
            ),
          ),
          canWriteBack: config.writeback !== undefined,
          maxRounds: config.maxRounds,
          settleMs: config.settleSeconds * 1_000,
          patienceMs: config.patienceSeconds * 1_000,
          unconfigured: unconfiguredOf(config, all),
        };
      });
    },

    /** What became of exactly these; one that is no longer listed is missing. Reads only, so a retry is safe. Throws as `readCalendar`. */
    async followCalendar({ ids, ...place }: Place & { ids: string[] }): Promise<Connection[]> {
      const all = await read('read calendars', () => listConnections(calendarOf(place), place, directory));
      return all.filter(({ id }) => ids.includes(id));
    },

    /** Whether times that are taken are offered. Reads only, so a retry is safe. Throws InvalidInput. */
    async checkBusyWindows(place: Place): Promise<BusyWindow[]> {
      return read('read availability', () => readBusyWindows(calendarOf(place), place, directory));
    },

    /**
     * Has the application sync every connection of a provider. A retry begins it again: whoever configures it makes that
     * harmless. Throws InvalidInput, StaleFencingToken, FenceBusy, WrongDatabase, DatabaseUnreachable.
     */
    async syncCalendar({ provider, ...input }: Place & { fence: Fence; provider: string }): Promise<Asked> {
      const { providers } = calendarOf(input);
      const found = Object.hasOwn(providers, provider) ? providers[provider] : undefined;
      if (found === undefined)
        throw fail(
          'InvalidInput',
          `calendar.providers.${provider} is missing in runbooks.yaml. Add it, then start again.`,
        );
      return asked(input, found.sync, `sync the calendars of ${provider}`, { provider });
    },

    /** Has the application write back what waits, once. As `syncCalendar`. */
    async writeBackCalendar(input: Place & { fence: Fence }): Promise<Asked> {
      const { writeback } = calendarOf(input);
      if (writeback === undefined) throw fail('InvalidInput', 'calendar.writeback is not configured.');
      return asked(input, writeback, 'write back to the calendars');
    },
  };
}

/** 401, 403, 404, 429 and their like are refused before anything is done; after 5xx, or no answer, nobody knows. */
function refusalOf(error: unknown, attempt: number): Asked {
  const { details, nonRetryable } = error as { details?: unknown[]; nonRetryable?: boolean };
  const { status, waitMs, late } = (details?.[0] ?? {}) as {
    status?: number;
    waitMs?: number;
    late?: boolean;
  };
  const detail = problemOf(error);
  // It goes on there: what became of it shows in the status.
  if (late === true) return { ok: true, status: null, detail, again: false, waitMs: null, nothing: false };
  return {
    ok: false,
    status: status ?? null,
    detail,
    again: nonRetryable !== true,
    waitMs: waitMs ?? null,
    nothing: attempt === 1 && status !== undefined && status >= 400 && status < 500,
  };
}

function unconfiguredOf(
  { writeback, availability, busy, status, providers }: CalendarConfig,
  all: Connection[],
): string[] {
  const missing = (name: string, what: string) => `calendar.${name} is not configured: ${what}`;
  const used = [...new Set(all.map(({ provider }) => provider))];
  return [
    ...(status.item.backlog === undefined
      ? [
          missing(
            'status.item.backlog',
            'whether changes wait to be written back, nobody says, and nothing is written back',
          ),
        ]
      : []),
    ...(writeback === undefined ? [missing('writeback', 'changes that wait are not written back')] : []),
    ...(availability === undefined || busy.length === 0
      ? [
          missing(
            availability === undefined ? 'availability' : 'busy',
            'whether busy times can be booked, nobody looks',
          ),
        ]
      : []),
    ...used
      .filter((provider) => !Object.hasOwn(providers, provider))
      .slice(0, 8)
      .map((provider) => missing(`providers.${provider}`, 'its connections are not synced')),
    ...used
      .filter(
        (provider) => Object.hasOwn(providers, provider) && providers[provider]!.reconnect === undefined,
      )
      .map((provider) =>
        missing(`providers.${provider}.reconnect`, 'people are not told where to reconnect'),
      ),
  ];
}
