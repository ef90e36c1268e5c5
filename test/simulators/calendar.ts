import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How a provider, or the application in front of it, behaves when a sync is asked for. */
export type SyncMood = 'well' | 'idle' | 'down' | 'limited' | 'refused' | 'page' | 'revoked' | 'silent';

export interface SimulatedConnection {
  id: string;
  provider: string;
  status: string;
  lastSyncAt: string | null;
  lastError: string | null;
  writebackPending: number;
}

interface Event {
  provider: string;
  from: number;
  to: number;
}

const HOUR_MS = 3_600_000;
export const CALENDAR_TOKEN = 'tok-of-the-calendars';

/**
 * An application with connected calendars: what providers hold is known to it only after a sync, and decides what it
 * offers; what it has to write back goes a few at a time.
 */
export async function startCalendarApp() {
  const calls: string[] = [];
  const state = {
    connections: [] as SimulatedConnection[],
    /** In the calendars themselves. */
    events: [] as Event[],
    /** Those that the application knows. */
    imported: [] as Event[],
    moods: {} as Record<string, SyncMood>,
    retryAfterSeconds: 1,
    writesPerRound: 2,
    /** Answers a read with something else, e.g. a page to log in. */
    instead: undefined as { status?: number; type?: string; body: string } | undefined,
    /** The first answer to a sync is lost, and what was asked for is done. */
    loseAnswers: 0,
  };

  function sync(provider: string, response: ServerResponse): void {
    const mine = state.connections.filter((one) => one.provider === provider);
    const mood = state.moods[provider] ?? 'well';
    if (mood === 'down') return json(response, 503, { error: `${provider} is not available` });
    if (mood === 'refused') return json(response, 403, { error: 'no right to sync' });
    if (mood === 'limited')
      return json(response, 429, { error: 'slow down' }, { 'retry-after': String(state.retryAfterSeconds) });
    if (mood === 'page') return page(response);
    if (mood === 'silent') return;
    for (const one of mine.filter(({ status }) => ['connected', 'linked'].includes(status))) {
      if (mood === 'idle') continue;
      if (mood === 'revoked') {
        one.lastError = 'invalid_grant: Token has been expired or revoked.';
        continue;
      }
      Object.assign(one, { lastSyncAt: new Date().toISOString(), lastError: null });
      state.imported = [
        ...state.imported.filter((event) => event.provider !== provider),
        ...state.events.filter((event) => event.provider === provider),
      ];
    }
    if (state.loseAnswers > 0) {
      state.loseAnswers -= 1;
      return;
    }
    json(response, 200, { ok: true });
  }

  function writeBack(response: ServerResponse): void {
    const next = state.connections.find((one) => one.writebackPending > 0 && one.status === 'connected');
    if (next !== undefined) next.writebackPending = Math.max(0, next.writebackPending - state.writesPerRound);
    json(response, 200, { ok: true });
  }

  /** An hour each. */
  function offered(from: number, to: number): { start: string; end: string }[] {
    const slots = [];
    for (let at = Math.ceil(from / HOUR_MS) * HOUR_MS; at + HOUR_MS <= to; at += HOUR_MS)
      if (!state.imported.some((event) => event.from < at + HOUR_MS && event.to > at))
        slots.push({ start: new Date(at).toISOString(), end: new Date(at + HOUR_MS).toISOString() });
    return slots;
  }

  /** The same under other names: an object with a key for each provider. */
  const renamed = () => ({
    data: Object.fromEntries(
      state.connections.map(({ provider, status, lastSyncAt, lastError, writebackPending }) => [
        provider,
        { link: status, synced: lastSyncAt, why: lastError, queue: { open: writebackPending } },
      ]),
    ),
  });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '', 'http://calendar');
    calls.push(`${request.method} ${url.pathname}`);
    if (request.headers.authorization !== `Bearer ${CALENDAR_TOKEN}`)
      return json(response, 401, { error: `unknown token ${request.headers.authorization}` });
    if (request.method === 'GET' && state.instead !== undefined) {
      const { status = 200, type = 'application/json', body } = state.instead;
      response.writeHead(status, { 'content-type': type }).end(body);
      return;
    }
    const [, provider] = /^\/(?:v0\/calendar|calendars)\/([a-z]+)\/(?:sync|pull)$/.exec(url.pathname) ?? [];
    if (request.method === 'POST' && provider !== undefined) return sync(provider, response);
    if (url.pathname === '/v0/calendar/writeback/run' || url.pathname === '/calendars/push')
      return writeBack(response);
    if (url.pathname === '/v0/calendar/sync/status')
      return json(response, 200, { connections: state.connections });
    if (url.pathname === '/calendars') return json(response, 200, renamed());
    if (url.pathname === '/v0/availability') {
      const at = (name: string) => Date.parse(url.searchParams.get(name) ?? '');
      return json(response, 200, { slots: offered(at('from'), at('to')) });
    }
    json(response, 404, { error: 'nothing there' });
  }

  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  /** A connection that is in sync, with one event of each day from 02:00 to 03:00 UTC that the application knows. */
  const connect = (provider: string, more: Partial<SimulatedConnection> = {}): SimulatedConnection => {
    const synced = { lastSyncAt: new Date().toISOString(), lastError: null, writebackPending: 0 };
    const one = { id: `${provider}-1`, provider, status: 'connected', ...synced, ...more };
    state.connections.push(one);
    return one;
  };
  const addEvents = (provider: string, known: boolean): void => {
    const today = Date.now() - (Date.now() % (24 * HOUR_MS));
    for (const day of [0, 1, 2]) {
      const from = today + day * 24 * HOUR_MS + 2 * HOUR_MS;
      const event = { provider, from, to: from + HOUR_MS };
      state.events.push(event);
      if (known) state.imported.push(event);
    }
  };

  return {
    url,
    state,
    connect,
    addEvents,
    /** Everything that changes something. */
    posts: () => calls.filter((call) => call.startsWith('POST')),
    find: (id: string) => state.connections.find((one) => one.id === id)!,
    reset: () => {
      calls.length = 0;
      Object.assign(state, { connections: [], events: [], imported: [], moods: {}, instead: undefined });
      Object.assign(state, { retryAfterSeconds: 1, writesPerRound: 2, loseAnswers: 0 });
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export type CalendarApp = Awaited<ReturnType<typeof startCalendarApp>>;

/** Its section of the configuration; the token is in CALENDAR_TOKEN. */
export function calendarSection(url: string) {
  const auth = { kind: 'bearer' as const, token: '${env:CALENDAR_TOKEN}' };
  const post = (path: string) => ({ method: 'POST' as const, url: `${url}${path}`, auth, timeoutMs: 3_000 });
  const get = (path: string) => ({ url: `${url}${path}`, auth, timeoutMs: 3_000 });
  return {
    status: { ...get('/v0/calendar/sync/status'), item: { backlog: 'writebackPending' } },
    providers: Object.fromEntries(
      ['google', 'microsoft'].map((name) => [
        name,
        {
          sync: post(`/v0/calendar/${name}/sync`),
          reconnect: `https://app.example/connect/${name}?for={connection}`,
        },
      ]),
    ),
    writeback: post('/v0/calendar/writeback/run'),
    availability: {
      ...get('/v0/availability'),
      query: { resource: '{resource}', from: '{from}', to: '{to}' },
    },
    busy: [{ name: 'night', resource: 'room-4', from: '02:00', to: '03:00' }],
    settleSeconds: 1,
    patienceSeconds: 60,
  };
}

/** The same application under other names. */
export function renamedSection(url: string) {
  const usual = calendarSection(url);
  const { auth } = usual.status;
  return {
    ...usual,
    status: {
      url: `${url}/calendars`,
      auth,
      list: 'data',
      item: { state: 'link', lastSync: 'synced', error: 'why', backlog: 'queue.open' },
    },
    states: { connected: ['linked'], expired: ['lapsed'], disconnected: ['cut'], ignored: ['off'] },
    providers: {
      google: { sync: { method: 'POST' as const, url: `${url}/calendars/{provider}/pull`, auth } },
    },
    writeback: { method: 'POST' as const, url: `${url}/calendars/push`, auth },
  };
}

function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

function page(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>');
}
