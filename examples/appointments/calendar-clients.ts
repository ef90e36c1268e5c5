/** The two calendars that the application reads and writes, as their vendors' interfaces want it. */
import { fetch, type Response } from 'undici';

export type Provider = 'google' | 'microsoft';

export interface Busy {
  id: string;
  start: string;
  end: string;
}

export interface CalendarClient {
  /** Where the owner gives their consent. */
  consent: (to: { account: string; redirect: string; state: string }) => string;
  /** The refresh token for a code. Throws Unauthorized where the provider does not take it. */
  exchange: (code: string, redirect: string) => Promise<string>;
  /** An access token. Throws Unauthorized where consent was withdrawn. */
  refresh: (refreshToken: string) => Promise<string>;
  list: (accessToken: string, from: string, to: string) => Promise<Busy[]>;
  /** Harmless when repeated for the same key. Returns what the provider calls it. */
  insert: (accessToken: string, event: Busy) => Promise<string>;
  /** Harmless when it is gone already. */
  remove: (accessToken: string, id: string) => Promise<void>;
}

/** invalid_grant: nothing helps but a new consent. */
export class Unauthorized extends Error {}

const TIMEOUT_MS = 3_000;

export function calendarClients(baseUrl: string): Record<Provider, CalendarClient> {
  return { google: google(`${baseUrl}/google`), microsoft: microsoft(`${baseUrl}/microsoft`) };
}

function google(base: string): CalendarClient {
  const events = `${base}/calendar/v3/calendars/primary/events`;
  return {
    ...oauth(base),
    list: async (token, from, to) => {
      const query = new URLSearchParams({ timeMin: from, timeMax: to, singleEvents: 'true' });
      const { items } = (await (await call(`${events}?${query}`, token)).json()) as {
        items: { id: string; start: { dateTime: string }; end: { dateTime: string } }[];
      };
      return items.map(({ id, start, end }) => ({ id, start: start.dateTime, end: end.dateTime }));
    },
    // Google takes an identifier of ours: letters a to v and digits.
    insert: async (token, { id, start, end }) => {
      const body = { id, summary: 'Appointment', start: { dateTime: start }, end: { dateTime: end } };
      await call(events, token, { method: 'POST', body, fine: [409] });
      return id;
    },
    remove: async (token, id) => {
      await call(`${events}/${id}`, token, { method: 'DELETE', fine: [404, 410] });
    },
  };
}

function microsoft(base: string): CalendarClient {
  const utc = (time: string) => ({ dateTime: time.replace('Z', ''), timeZone: 'UTC' });
  return {
    ...oauth(base),
    list: async (token, from, to) => {
      const query = new URLSearchParams({ startDateTime: from, endDateTime: to });
      const { value } = (await (await call(`${base}/v1.0/me/calendarView?${query}`, token)).json()) as {
        value: { id: string; start: { dateTime: string }; end: { dateTime: string } }[];
      };
      return value.map(({ id, start, end }) => ({
        id,
        start: `${start.dateTime}Z`,
        end: `${end.dateTime}Z`,
      }));
    },
    insert: async (token, { id, start, end }) => {
      const body = { transactionId: id, subject: 'Appointment', start: utc(start), end: utc(end) };
      const answer = await call(`${base}/v1.0/me/events`, token, { method: 'POST', body });
      return ((await answer.json()) as { id: string }).id;
    },
    remove: async (token, id) => {
      await call(`${base}/v1.0/me/events/${id}`, token, { method: 'DELETE', fine: [404] });
    },
  };
}

function oauth(base: string): Pick<CalendarClient, 'consent' | 'exchange' | 'refresh'> {
  const ask = async (form: Record<string, string>) => {
    const answer = await fetch(`${base}/oauth2/token`, {
      method: 'POST',
      body: new URLSearchParams(form),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (!answer.ok && answer.status !== 400) throw await problem(answer);
    const said = (await answer.json()) as { access_token?: string; refresh_token?: string; error?: string };
    if (said.access_token === undefined) throw new Unauthorized(said.error ?? 'no token');
    return { access: said.access_token, refresh: said.refresh_token ?? '' };
  };
  return {
    consent: ({ account, redirect, state }) =>
      `${base}/oauth2/authorize?${new URLSearchParams({
        response_type: 'code',
        access_type: 'offline',
        login_hint: account,
        redirect_uri: redirect,
        state,
      })}`,
    exchange: async (code, redirect) =>
      (await ask({ grant_type: 'authorization_code', code, redirect_uri: redirect })).refresh,
    refresh: async (refreshToken) =>
      (await ask({ grant_type: 'refresh_token', refresh_token: refreshToken })).access,
  };
}

async function call(
  url: string,
  token: string,
  { method = 'GET', body, fine = [] }: { method?: string; body?: object; fine?: number[] } = {},
): Promise<Response> {
  const answer = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (answer.ok || fine.includes(answer.status)) return answer;
  if (answer.status === 401) throw new Unauthorized('invalid credentials');
  throw await problem(answer);
}

async function problem(answer: Response): Promise<Error> {
  const said = (await answer.json().catch(() => undefined)) as { error?: { message?: string } } | undefined;
  return new Error(`HTTP ${answer.status} ${said?.error?.message ?? ''}`.trim());
}
