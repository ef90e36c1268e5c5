/** A few guests, so that what is measured is of real requests: they look, book, and cancel the one before. */
import { randomUUID } from 'node:crypto';
import { fetch } from 'undici';
import { every } from './every';

const EVERY_MS = 3_000;
const DAY_MS = 86_400_000;
const DAYS = 14;

/** Returns how to send them home. */
export function startTraffic(url: string): () => Promise<void> {
  let cancel: string | undefined;
  let turn = 0;
  const guest = async (): Promise<void> => {
    turn += 1;
    const host = String(1 + (turn % 3));
    const query = new URLSearchParams({ host, to: new Date(Date.now() + DAYS * DAY_MS).toISOString() });
    const found = await ask<{ slots: { start: string }[] }>(`${url}/v0/availability?${query}`);
    const slot = found?.slots[Math.floor(Math.random() * found.slots.length)];
    if (slot === undefined) return;
    const body = { host, start: slot.start, name: 'A guest', email: 'guest@example.com' };
    const booked = await ask<{ actions: { cancel: string } }>(`${url}/v0/bookings`, body);
    if (cancel !== undefined) await ask(`${url}${cancel}`, {});
    cancel = booked?.actions.cancel;
  };
  return every(EVERY_MS, guest);
}

/** Undefined where it was not given what it asked for. */
async function ask<T>(url: string, body?: object): Promise<T | undefined> {
  const answer = await fetch(url, {
    ...(body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }),
    headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    signal: AbortSignal.timeout(10_000),
  });
  const said = await answer.json();
  return answer.ok ? (said as T) : undefined;
}
