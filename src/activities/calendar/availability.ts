import { targetOf, type Place } from '../../contract/place';
import { timeOf } from '../observe/reading';
import { isHttpFailure, problemOf } from '../support/http';
import { valueAt, type Json } from '../support/json';
import { exchange } from '../support/operation/exchange';
import { readWhole } from '../support/operation/perform';
import { unknown } from './connections';
import type { CalendarConfig } from './settings';

/** `free`: it can be booked although it is taken. `unproven`: nobody can tell, and `detail` says why. */
export interface BusyWindow {
  name: string;
  verdict: 'busy' | 'free' | 'unproven';
  detail: string;
}

interface Span {
  from: number;
  to: number;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** What is offered of each window that is known to be taken. A window that cannot be read is unproven, and no error. */
export async function readBusyWindows(
  config: CalendarConfig,
  place: Place,
  directory: string,
): Promise<BusyWindow[]> {
  const found: BusyWindow[] = [];
  for (const { name, resource, from, to } of config.busy) {
    const window = nextOf(from, to, Date.now());
    const judged =
      config.availability === undefined
        ? { verdict: 'unproven' as const, detail: 'calendar.availability is not configured' }
        : window.to <= Date.now()
          ? {
              verdict: 'unproven' as const,
              detail: `it is over since ${isoOf(window.to)}: name a later one in calendar.busy`,
            }
          : await judge(config, place, directory, { name, resource, window });
    found.push({ name, ...judged });
  }
  return found;
}

async function judge(
  config: CalendarConfig,
  place: Place,
  directory: string,
  { name, resource, window }: { name: string; resource: string; window: Span },
): Promise<Omit<BusyWindow, 'name'>> {
  const aroundMs = config.aroundHours * HOUR_MS;
  const around = { from: Math.max(Date.now(), window.from - aroundMs), to: window.to + aroundMs };
  try {
    const slots = await readSlots(config, place, directory, { name, resource, ...around });
    const inside = slots.find(({ from, to }) => from < window.to && to > window.from);
    if (inside !== undefined)
      return { verdict: 'free', detail: `${isoOf(inside.from)} to ${isoOf(inside.to)} can be booked` };
    // Where nothing at all is offered, that a window is not offered proves nothing.
    const offered = slots.filter(({ from, to }) => from < around.to && to > around.from).length;
    return offered === 0
      ? {
          verdict: 'unproven',
          detail: `nothing is offered from ${isoOf(around.from)} to ${isoOf(around.to)} either`,
        }
      : {
          verdict: 'busy',
          detail: `${isoOf(window.from)} to ${isoOf(window.to)} is taken, and ${offered} around it are offered`,
        };
  } catch (error) {
    if (!isHttpFailure(error) && (error as { type?: string }).type !== 'CalendarUnknown') throw error;
    return { verdict: 'unproven', detail: problemOf(error) };
  }
}

function readSlots(
  config: CalendarConfig,
  place: Place,
  directory: string,
  { name, resource, from, to }: Span & { name: string; resource: string },
): Promise<Span[]> {
  const operation = config.availability!;
  const { list, slot: paths } = operation;
  const action = `read the availability around "${name}" of ${targetOf(place)}`;
  const { service, environment } = place;
  const parameters = { service, environment, resource, from: isoOf(from), to: isoOf(to) };
  return exchange(operation, { action, parameters, directory }, (answer) => {
    const slots = valueAt(readWhole(operation, answer), list);
    if (!Array.isArray(slots))
      throw unknown(action, `its answer has no list at "${list}"; correct calendar.availability.list`);
    return slots.flatMap((slot) => {
      const available = paths.available === undefined ? true : valueAt(slot, paths.available);
      if (typeof available !== 'boolean')
        throw unknown(
          action,
          `a slot has neither true nor false at "${paths.available}"; correct calendar.availability.slot.available`,
        );
      return available ? [spanOf(slot, paths, action)] : [];
    });
  });
}

function spanOf(slot: Json, paths: { from: string; to: string }, action: string): Span {
  const at = (path: string): number => {
    const value = valueAt(slot, path);
    const ms = typeof value === 'string' || typeof value === 'number' ? timeOf(value) : undefined;
    if (ms !== undefined && Math.abs(ms) < 8.64e15) return ms;
    throw unknown(
      action,
      `a slot has no time with its zone at "${path}"; correct calendar.availability.slot`,
    );
  };
  return { from: at(paths.from), to: at(paths.to) };
}

/** A window of each day: the next one that has not begun. */
function nextOf(from: string, to: string, nowMs: number): Span {
  if (from.includes('-')) return { from: timeOf(from)!, to: timeOf(to)! };
  const today = nowMs - (nowMs % DAY_MS);
  const first = today + timeOfDay(from);
  const lengthMs = (timeOfDay(to) - timeOfDay(from) + DAY_MS) % DAY_MS;
  const start = first > nowMs ? first : first + DAY_MS;
  return { from: start, to: start + lengthMs };
}

function timeOfDay(text: string): number {
  const [hours, minutes] = text.split(':').map(Number) as [number, number];
  return hours * HOUR_MS + minutes * 60_000;
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString();
}
