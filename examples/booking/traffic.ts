import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch } from 'undici';

const PAUSE_MS = 100;
const BOOK_EVERY = 10;
const PATIENCE_MS = 10_000;

/**
 * Customers for the sample: one request at a time, about ten a second, through the front door. Every tenth books,
 * confirms and cancels again, so that slots never run out. Returns how to stop it; a visit
 * that has begun is finished, so that nothing stays booked.
 */
export function startTraffic(url: string, customerIds: string[]): () => Promise<void> {
  const stop = new AbortController();
  const running = (async () => {
    for (let turn = 0; !stop.signal.aborted; turn += 1) {
      // A failed request is the application's to count; the customers just try again.
      await visit(url, turn, customerIds).catch(() => undefined);
      await sleep(PAUSE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return async () => {
    stop.abort();
    await running;
  };
}

async function visit(url: string, turn: number, customerIds: string[]): Promise<void> {
  const answer = await fetch(`${url}/slots?limit=20`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  const { slots } = (await answer.json()) as { slots?: { slotId: string }[] };
  const slot = slots?.[turn % Math.max(1, slots.length)];
  const customerId = customerIds[turn % Math.max(1, customerIds.length)];
  if (turn % BOOK_EVERY !== 0 || slot === undefined || customerId === undefined) return;
  const held = await send(`${url}/bookings`, { slotId: slot.slotId, customerId, partySize: 1 });
  if (held.id === undefined) return;
  await send(`${url}/bookings/${held.id}/confirm`);
  await send(`${url}/bookings/${held.id}/cancel`);
}

async function send(url: string, body: object = {}): Promise<{ id?: string }> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() };
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const answer = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body), signal });
  return (await answer.json()) as { id?: string };
}
