import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch } from 'undici';

const PAUSE_MS = 100;
const PATIENCE_MS = 10_000;
const CLIENTS = 4;
const CALLERS = 120;

/**
 * Callers: about ten a second ask for free times; every second one books and cancels again, so that times never run out.
 * Returns how to stop them; a call that has begun is finished.
 */
export function startCalls(url: string): () => Promise<void> {
  const stop = new AbortController();
  const running = (async () => {
    for (let turn = 0; !stop.signal.aborted; turn += 1) {
      // A failed request is the application's to count; callers just try again.
      await call(url, turn).catch(() => undefined);
      await sleep(PAUSE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return async () => {
    stop.abort();
    await running;
  };
}

async function call(url: string, turn: number): Promise<void> {
  const client = String(1 + (turn % CLIENTS));
  const { times } = await send<{ times?: string[] }>(`${url}/availability?client=${client}`);
  const startsAt = times?.[turn % Math.max(1, times.length)];
  if (turn % 2 !== 0 || startsAt === undefined) return;
  const caller = String(1 + (turn % CALLERS));
  const body = { callId: `call-${randomUUID()}`, client, caller, startsAt };
  const { booking } = await send<{ booking?: string }>(`${url}/webhooks/vapi`, body);
  if (booking !== undefined) await send(`${url}/bookings/${booking}/cancel`, {});
}

async function send<T>(url: string, body?: object): Promise<T> {
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const post = {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  };
  const answer = await fetch(url, { signal, ...(body === undefined ? {} : post) });
  return (await answer.json()) as T;
}
