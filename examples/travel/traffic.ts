/** Customers of the example: some look, some search, every few seconds one books and pays. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch } from 'undici';
import { signEvent } from './payments';
import type { Switches } from './switches';

const PAUSE_MS = 150;
const BOOK_EVERY = 40;
const PATIENCE_MS = 10_000;
const OFFICE = '203.0.113.7';
const OFFICE_AT_ONCE = 8;

/** Customers of one address each, of a documentation network. */
const addressOf = (turn: number): string => `198.51.100.${1 + (turn % 200)}`;

export interface Customer {
  /** What the path is answered with; throws where that is no success. */
  ask<T extends object>(path: string, body?: object, key?: string): Promise<T>;
}

/** Somebody who asks from that address, with a token where they have logged in. */
export function customer(url: string, address: string, token?: string): Customer {
  return {
    async ask<T extends object>(path: string, body?: object, key: string = randomUUID()): Promise<T> {
      const answer = await fetch(`${url}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          'x-forwarded-for': address,
          'idempotency-key': key,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const said = (await answer.json()) as T;
      if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(said)}`);
      return said;
    },
  };
}

/** A customer with an account of its own. */
export async function newCustomer(url: string, address: string): Promise<Customer> {
  const account = { email: `${randomUUID()}@example.com`, password: randomUUID() };
  const { accessToken } = await customer(url, address).ask<{ accessToken: string }>(
    '/auth/register',
    account,
  );
  return customer(url, address, accessToken);
}

/** Quote and hold of a departure. */
export async function hold(one: Customer, packageId: string, unitId: string): Promise<{ id: string }> {
  const quote = await one.ask<{ id: string }>('/bookings/quote', { packageId, unitId, units: 1 });
  return one.ask('/bookings/hold', { quoteId: quote.id });
}

/** An event of the payment provider, signed by it. Returns the status of the answer. */
export async function pay(
  url: string,
  secret: string,
  booking: { id: string; priceCents: number },
): Promise<number> {
  const body = JSON.stringify({
    id: `evt_${randomUUID()}`,
    type: 'payment.succeeded',
    booking: booking.id,
    amountCents: booking.priceCents,
  });
  const { status } = await fetch(`${url}/webhooks/payments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-signature': signEvent(secret, body) },
    body,
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return status;
}

/** Returns how to stop it; who is at it finishes. */
export function startTraffic(url: string, paymentsSecret: string, switches: () => Switches) {
  const stop = new AbortController();
  let regular: Customer | undefined;
  const visit = async (turn: number): Promise<void> => {
    const one = customer(url, addressOf(turn));
    if (turn % BOOK_EVERY !== 0)
      return void (await one.ask(turn % 4 === 1 ? '/packages?q=wine' : '/packages'));
    regular ??= await newCustomer(url, addressOf(turn));
    const { packages } = await one.ask<{ packages: { id: string; unitId: string | null }[] }>('/packages');
    const choice = packages[(turn / BOOK_EVERY) % packages.length];
    if (choice?.unitId == null) return;
    const { id } = await hold(regular, choice.id, choice.unitId);
    const booking = await regular.ask<{ id: string; priceCents: number }>(`/bookings/${id}/confirm`, {});
    await pay(url, paymentsSecret, booking);
  };
  const office = customer(url, OFFICE);
  const running = (async () => {
    for (let turn = 0; !stop.signal.aborted; turn += 1) {
      // A failed request is the application's to count; the customers just try again.
      const visits = [visit(turn)];
      if (switches().sharedOffice === 'busy')
        for (let at = 0; at < OFFICE_AT_ONCE; at += 1) visits.push(office.ask('/packages?q=wine').then());
      await Promise.allSettled(visits);
      await sleep(PAUSE_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return async (): Promise<void> => {
    stop.abort();
    await running;
  };
}
