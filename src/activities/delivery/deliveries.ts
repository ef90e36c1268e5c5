import { targetOf, type Place } from '../../contract/place';
import { scrub } from '../../config/secrets';
import { timeOf } from '../observe/reading';
import { fail } from '../support/failure';
import { hostOf } from '../support/http';
import { numberAt, valueAt, type Json } from '../support/json';
import { exchange } from '../support/operation/exchange';
import { readWhole } from '../support/operation/perform';
import type { WebhooksConfig } from './settings';

/** One event on its way to one endpoint. */
export interface Delivery {
  id: string;
  /** As the application calls it; empty where it does not say. */
  endpoint: string;
  /** For people: the host where it is known. */
  target: string;
  attempts: number;
  /** Why the last attempt failed. */
  error: string | null;
  status: number | null;
  /** ISO time of the next attempt; null where nobody says. */
  dueAt: string | null;
}

export type DeliveryState = keyof WebhooksConfig['states'];

export interface Listed {
  delivery: Delivery;
  state: DeliveryState;
}

const MAX_PAGES = 50;
const MAX_TEXT = 200;
export const NOT_THERE = 404;

/** Every delivery of the list, by its ID, the first ones of very many. Throws HttpFailed, WebhooksUnknown. */
export async function listDeliveries(
  { deliveries: config, states }: WebhooksConfig,
  place: Place,
  directory: string,
): Promise<{ deliveries: Map<string, Listed>; more: boolean }> {
  const action = `read the deliveries of ${targetOf(place)}`;
  const found = new Map<string, Listed>();
  const seen = new Set<string>();
  for (let cursor = '', pages = 0; pages < MAX_PAGES; pages += 1) {
    seen.add(cursor);
    const page = await exchange(
      config,
      { action, parameters: { ...place, cursor }, directory },
      (answer, clean) => {
        const json = readWhole(config, answer);
        const list = valueAt(json, config.list);
        if (!Array.isArray(list))
          throw unknown(
            action,
            `its answer has no list at "${config.list}"; correct webhooks.deliveries.list`,
          );
        const next = config.next === undefined ? undefined : valueAt(json, config.next);
        return { items: list.map((item) => itemOf(item, config.item, states, action, clean)), next };
      },
    );
    // What moves from one page to another meanwhile is there twice: the later word counts.
    for (const item of page.items) found.set(item.delivery.id, item);
    const next = typeof page.next === 'number' ? String(page.next) : page.next;
    if (typeof next !== 'string' || next === '') return { deliveries: found, more: false };
    if (seen.has(next))
      throw unknown(action, `its pages go round in a circle; correct webhooks.deliveries.next`);
    cursor = next;
  }
  return { deliveries: found, more: true };
}

/** One that is not listed; undefined where nobody knows it. Throws HttpFailed, WebhooksUnknown. */
export async function readDelivery(
  { delivery: config, states }: WebhooksConfig,
  place: Place,
  directory: string,
  id: string,
): Promise<Listed | undefined> {
  if (config === undefined) return undefined;
  const action = `read delivery ${id} of ${targetOf(place)}`;
  return exchange(config, { action, parameters: { ...place, delivery: id }, directory }, (answer, clean) => {
    if (answer.status === NOT_THERE) return undefined;
    const json = readWhole(config, answer);
    const delivery = {
      id,
      endpoint: '',
      target: '',
      attempts: attemptsOf(json, config.attempts, id, action),
      error: textAt(json, config.error, clean),
      status: null,
      dueAt: null,
    };
    return { delivery, state: stateOf(json, config.state, id, states, action) };
  });
}

function itemOf(
  json: Json,
  paths: WebhooksConfig['deliveries']['item'],
  states: WebhooksConfig['states'],
  action: string,
  clean: (text: string) => string,
): Listed {
  const given = valueAt(json, paths.id);
  if (typeof given === 'number' && !Number.isSafeInteger(given))
    throw unknown(
      action,
      `a delivery has a number at "${paths.id}" that JSON does not carry exactly; have it sent as text, and correct webhooks.deliveries.item.id`,
    );
  const id = idOf(given);
  if (id === undefined)
    throw unknown(action, `a delivery has no ID at "${paths.id}"; correct webhooks.deliveries.item.id`);
  const endpoint = idOf(valueAt(json, paths.endpoint)) ?? '';
  const url = paths.url === undefined ? undefined : valueAt(json, paths.url);
  const due = paths.dueAt === undefined ? undefined : valueAt(json, paths.dueAt);
  return {
    delivery: {
      id,
      endpoint: clean(endpoint),
      target:
        typeof url === 'string' ? hostOf(url) : endpoint === '' ? 'an endpoint' : `endpoint ${endpoint}`,
      attempts: attemptsOf(json, paths.attempts, id, action),
      error: textAt(json, paths.error, clean),
      status: paths.status === undefined ? null : numberAt(json, paths.status),
      dueAt: dueOf(due, id, paths.dueAt, action),
    },
    state: stateOf(json, paths.state, id, states, action),
  };
}

function idOf(value: Json | undefined): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, MAX_TEXT) : undefined;
}

function stateOf(
  json: Json,
  path: string,
  id: string,
  states: WebhooksConfig['states'],
  action: string,
): DeliveryState {
  const word = valueAt(json, path);
  const found = (Object.keys(states) as DeliveryState[]).find((one) =>
    states[one].some((known) => known === word),
  );
  if (found !== undefined) return found;
  const said =
    word === undefined ? `no state at "${path}"` : `the state ${JSON.stringify(word).slice(0, 50)}`;
  throw unknown(action, `delivery ${id} has ${said}; correct it, or name it in webhooks.states`);
}

function attemptsOf(json: Json, path: string, id: string, action: string): number {
  const attempts = numberAt(json, path);
  if (attempts !== null && Number.isInteger(attempts) && attempts >= 0) return attempts;
  throw unknown(action, `delivery ${id} has no number of attempts at "${path}"; correct webhooks`);
}

function dueOf(value: Json | undefined, id: string, path = '', action: string): string | null {
  if (value === undefined || value === null || value === '') return null;
  const ms = typeof value === 'string' || typeof value === 'number' ? timeOf(value) : undefined;
  if (ms !== undefined && Math.abs(ms) < 8.64e15) return new Date(ms).toISOString();
  throw unknown(
    action,
    `delivery ${id} has no time with its zone at "${path}"; correct webhooks.deliveries.item.dueAt`,
  );
}

/** What somebody else's server said; of addresses, which may be secret, only their hosts. */
export function textAt(json: Json, path: string, clean: (text: string) => string): string | null {
  const value = valueAt(json, path);
  if (value === undefined || value === null || value === '') return null;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  const addressless = clean(text.replace(/\s+/g, ' ')).replace(/https?:\/\/[^\s"'<>)]+/gi, hostOf);
  return scrub(addressless).slice(0, MAX_TEXT);
}

function unknown(action: string, what: string): Error {
  return fail('WebhooksUnknown', `Could not ${action}: ${what} in the configuration.`);
}
