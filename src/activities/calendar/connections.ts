import { targetOf, type Place } from '../../contract/place';
import { scrub } from '../../config/secrets';
import { timeOf } from '../observe/reading';
import { fail } from '../support/failure';
import { hostOf } from '../support/http';
import { numberAt, valueAt, type Json } from '../support/json';
import { exchange } from '../support/operation/exchange';
import { readWhole } from '../support/operation/perform';
import type { CalendarConfig } from './settings';

export type ConnectionState = 'connected' | 'expired' | 'disconnected';

/** What is wrong with a connection; `future`: it says that it synced at a time that is yet to come. */
export type Trouble = 'expired' | 'disconnected' | 'never' | 'stale' | 'future' | 'backlog';

/** One calendar account that is connected to the application. */
export interface Connection {
  id: string;
  provider: string;
  state: ConnectionState;
  /** ISO time; null where it never synced. */
  lastSync: string | null;
  /** Null where nobody says. */
  backlog: number | null;
  /** Why the last sync failed. */
  error: string | null;
  /** Null where it is in sync. */
  trouble: Trouble | null;
}

const MAX_LISTED = 2_000;
const MAX_TEXT = 200;
/** Clocks of two machines may differ by that much. */
const SKEW_MS = 5 * 60_000;

/** Every connection but those that are disconnected on purpose. Throws HttpFailed, CalendarUnknown. */
export async function listConnections(
  config: CalendarConfig,
  place: Place,
  directory: string,
): Promise<Connection[]> {
  const action = `read the calendar connections of ${targetOf(place)}`;
  const parameters = { service: place.service, environment: place.environment };
  return exchange(config.status, { action, parameters, directory }, (answer, clean) => {
    const items = itemsOf(valueAt(readWhole(config.status, answer), config.status.list), config, action);
    const found = items.flatMap(([key, item]) => connectionOf(item, key, config, action, clean) ?? []);
    const twice = found.find(({ id }, index) => found.findIndex((one) => one.id === id) !== index);
    if (twice === undefined) return found;
    throw unknown(action, `two connections are called "${twice.id}"; correct calendar.status.item.id`);
  });
}

/** With the name of the provider where that is the key. */
function itemsOf(
  list: Json | undefined,
  { status }: CalendarConfig,
  action: string,
): [string | undefined, Json][] {
  if (list === undefined || list === null || typeof list !== 'object')
    throw unknown(action, `its answer has no list at "${status.list}"; correct calendar.status.list`);
  const items: [string | undefined, Json][] = Array.isArray(list)
    ? list.map((item) => [undefined, item])
    : Object.entries(list);
  // Of an application that has lost its data, or of another tenant, nothing is out of sync either.
  if (items.length === 0)
    throw unknown(action, `its answer lists no connection at all; if there are any, correct calendar.status`);
  if (items.length <= MAX_LISTED) return items;
  throw unknown(
    action,
    `its answer lists ${items.length} connections, more than ${MAX_LISTED}; have it list those that are in trouble, by calendar.status.query`,
  );
}

function connectionOf(
  json: Json,
  key: string | undefined,
  config: CalendarConfig,
  action: string,
  clean: (text: string) => string,
): Connection | undefined {
  const { item: paths } = config.status;
  const provider = key ?? textOf(valueAt(json, paths.provider));
  if (provider === undefined)
    throw unknown(
      action,
      `a connection has no provider at "${paths.provider}"; correct calendar.status.item.provider`,
    );
  const id = clean(textOf(valueAt(json, paths.id)) ?? provider);
  const state = stateOf(valueAt(json, paths.state), id, config, action);
  if (state === 'ignored') return undefined;
  const read = {
    id,
    provider: clean(provider),
    state,
    lastSync: lastSyncOf(valueAt(json, paths.lastSync), id, config, action),
    backlog: paths.backlog === undefined ? null : backlogOf(json, paths.backlog, id, action),
    error: errorOf(valueAt(json, paths.error), clean),
  };
  return { ...read, trouble: troubleOf(read, config.maxAgeMinutes * 60_000) };
}

function troubleOf(
  { state, lastSync, backlog }: Omit<Connection, 'trouble'>,
  maxAgeMs: number,
): Trouble | null {
  if (state !== 'connected') return state;
  if (lastSync === null) return 'never';
  const ageMs = Date.now() - Date.parse(lastSync);
  if (ageMs < -SKEW_MS) return 'future';
  if (ageMs > maxAgeMs) return 'stale';
  return (backlog ?? 0) > 0 ? 'backlog' : null;
}

function stateOf(
  word: Json | undefined,
  id: string,
  { states, status }: CalendarConfig,
  action: string,
): ConnectionState | 'ignored' {
  const names = Object.keys(states) as (keyof typeof states)[];
  const found = names.find((name) => states[name].some((known) => known === word));
  if (found !== undefined) return found;
  const said =
    word === undefined
      ? `no state at "${status.item.state}"`
      : `the state ${JSON.stringify(word).slice(0, 50)}`;
  throw unknown(action, `connection ${id} has ${said}; correct it, or name it in calendar.states`);
}

function lastSyncOf(
  value: Json | undefined,
  id: string,
  { status: { item } }: CalendarConfig,
  action: string,
): string | null {
  if (value === null || value === '') return null;
  const ms = typeof value === 'string' || typeof value === 'number' ? timeOf(value) : undefined;
  if (ms !== undefined && Math.abs(ms) < 8.64e15) return new Date(ms).toISOString();
  const said = value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 50);
  throw unknown(
    action,
    `connection ${id} says ${said} at "${item.lastSync}", where a time with its zone, or null, is expected; correct calendar.status.item.lastSync`,
  );
}

function backlogOf(json: Json, path: string, id: string, action: string): number {
  const backlog = numberAt(json, path);
  if (backlog !== null && Number.isSafeInteger(backlog) && backlog >= 0) return backlog;
  throw unknown(action, `connection ${id} has no number at "${path}"; correct calendar.status.item.backlog`);
}

function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined;
}

/** What somebody else's server said; of addresses, which may be secret, only their hosts. */
function errorOf(value: Json | undefined, clean: (text: string) => string): string | null {
  if (value === undefined || value === null || value === '') return null;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const addressless = clean(text.replace(/\s+/g, ' ')).replace(/https?:\/\/[^\s"'<>)]+/gi, hostOf);
  return scrub(addressless).slice(0, MAX_TEXT);
}

export function unknown(action: string, what: string): Error {
  return fail('CalendarUnknown', `Could not ${action}: ${what} in the configuration.`);
}
