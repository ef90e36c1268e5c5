/**
 * Plays the calendars of Google (Calendar API v3) and Microsoft (Graph v1.0) with their OAuth, on the loopback address: as much of
 * them as a sync in both directions needs. Whoever opens the page of consent agrees at once. Tokens say for themselves when they
 * were issued, so they outlive a restart; what was written to a calendar does not.
 */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';

export type CalendarProvider = 'google' | 'microsoft';

export interface CalendarMood {
  /** down: 503; limited: 429 with Retry-After. */
  answers: 'well' | 'down' | 'limited';
  /** Consent that was given before is withdrawn. An ISO time. */
  revokedAt: string | null;
  /** Every calendar says that its owner is away, for two months. */
  away: boolean;
}

export interface CalendarEvent {
  id: string;
  start: string;
  end: string;
}

export interface CalendarServer {
  url: string;
  /** What was written to the calendar of an account. */
  written: (provider: CalendarProvider, account: string) => CalendarEvent[];
  stop: () => Promise<void>;
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const AWAY_DAYS = 60;
const RETRY_AFTER_SECONDS = 2;

export async function startCalendars({
  mood,
}: {
  mood: (provider: CalendarProvider) => CalendarMood;
}): Promise<CalendarServer> {
  const calendars: Record<CalendarProvider, Calendars> = { google: new Map(), microsoft: new Map() };
  const server = fastify({ logger: false, forceCloseConnections: true });
  server.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, Object.fromEntries(new URLSearchParams(body as string))),
  );
  for (const provider of ['google', 'microsoft'] as const) {
    const parts = { mood: () => mood(provider), calendars: calendars[provider] };
    void server.register(async (one) => addProvider(one, provider, parts), { prefix: `/${provider}` });
  }
  const url = await server.listen({ host: '127.0.0.1', port: 0 });
  return {
    url,
    written: (provider, account) => [...calendarOf(calendars[provider], account).values()],
    stop: () => server.close(),
  };
}

/** What was written to each calendar, by account and identifier. */
type Calendars = Map<string, Calendar>;
type Calendar = Map<string, CalendarEvent>;

interface Parts {
  mood: () => CalendarMood;
  calendars: Calendars;
}

function calendarOf(calendars: Calendars, account: string): Calendar {
  const there = calendars.get(account) ?? new Map<string, CalendarEvent>();
  calendars.set(account, there);
  return there;
}

function addProvider(server: FastifyInstance, provider: CalendarProvider, parts: Parts): void {
  server.addHook('onRequest', async (request, reply) => {
    const { answers } = parts.mood();
    if (answers === 'down') return reply.code(503).send({ error: { message: 'Backend Error' } });
    if (answers === 'limited')
      return reply
        .code(429)
        .header('retry-after', String(RETRY_AFTER_SECONDS))
        .send({ error: { message: 'Rate Limit Exceeded' } });
    const isOauth = request.url.startsWith(`/${provider}/oauth2/`);
    if (!isOauth && accountOf(bearerOf(request), provider, 'access', parts.mood()) === undefined)
      return reply.code(401).send({ error: { message: 'Invalid Credentials' } });
  });
  server.get<{ Querystring: { redirect_uri: string; state: string; login_hint: string } }>(
    '/oauth2/authorize',
    ({ query }, reply) => {
      const back = new URL(query.redirect_uri);
      back.searchParams.set('code', issue(provider, 'code', query.login_hint));
      back.searchParams.set('state', query.state);
      return reply.redirect(back.href);
    },
  );
  server.post<{ Body: { grant_type: string; code?: string; refresh_token?: string } }>(
    '/oauth2/token',
    async ({ body }, reply) => {
      const { code, refresh_token: refresh } = body;
      const [given, kind] = code === undefined ? [refresh, 'refresh' as const] : [code, 'code' as const];
      const account = accountOf(given, provider, kind, parts.mood());
      if (account === undefined)
        return reply.code(400).send({
          error: 'invalid_grant',
          error_description: 'Token has been expired or revoked.',
        });
      return {
        access_token: issue(provider, 'access', account),
        expires_in: 3_599,
        token_type: 'Bearer',
        ...(kind === 'code' ? { refresh_token: issue(provider, 'refresh', account) } : {}),
      };
    },
  );
  if (provider === 'google') addGoogle(server, parts);
  else addMicrosoft(server, parts);
}

function addGoogle(server: FastifyInstance, { mood, calendars }: Parts): void {
  const mine = (request: FastifyRequest) => calendarOf(calendars, ownerOf(request));
  const path = '/calendar/v3/calendars/primary/events';
  const shown = ({ id, start, end }: CalendarEvent) => ({
    id,
    status: 'confirmed',
    start: { dateTime: start },
    end: { dateTime: end },
  });
  server.get<{ Querystring: { timeMin: string; timeMax: string } }>(path, (request) => ({
    items: eventsOf(mood(), mine(request), request.query.timeMin, request.query.timeMax).map(shown),
  }));
  server.post<{ Body: { id: string; start: { dateTime: string }; end: { dateTime: string } } }>(
    path,
    async (request, reply) => {
      const { body } = request;
      const written = mine(request);
      const event = { id: body.id, start: body.start.dateTime, end: body.end.dateTime };
      if (written.has(event.id))
        return reply.code(409).send({ error: { message: 'The requested identifier already exists.' } });
      written.set(event.id, event);
      return shown(event);
    },
  );
  server.delete<{ Params: { id: string } }>(`${path}/:id`, (request, reply) =>
    mine(request).delete(request.params.id) ? reply.code(204).send() : gone(reply, 410),
  );
}

function addMicrosoft(server: FastifyInstance, { mood, calendars }: Parts): void {
  const mine = (request: FastifyRequest) => calendarOf(calendars, ownerOf(request));
  /** Graph gives an event its identifier; who asks twice for one transaction gets the same one. */
  const byTransaction = new Map<string, CalendarEvent>();
  const local = (time: string) => ({ dateTime: time.replace('Z', ''), timeZone: 'UTC' });
  const shown = ({ id, start, end }: CalendarEvent) => ({ id, start: local(start), end: local(end) });
  server.get<{ Querystring: { startDateTime: string; endDateTime: string } }>(
    '/v1.0/me/calendarView',
    (request) => {
      const { startDateTime, endDateTime } = request.query;
      return { value: eventsOf(mood(), mine(request), startDateTime, endDateTime).map(shown) };
    },
  );
  server.post<{
    Body: { transactionId: string; start: { dateTime: string }; end: { dateTime: string } };
  }>('/v1.0/me/events', (request, reply) => {
    const { body } = request;
    const there = byTransaction.get(body.transactionId);
    if (there !== undefined) return shown(there);
    const event = { id: randomUUID(), start: `${body.start.dateTime}Z`, end: `${body.end.dateTime}Z` };
    mine(request).set(event.id, event);
    byTransaction.set(body.transactionId, event);
    return reply.code(201).send(shown(event));
  });
  server.delete<{ Params: { id: string } }>('/v1.0/me/events/:id', (request, reply) =>
    mine(request).delete(request.params.id) ? reply.code(204).send() : gone(reply, 404),
  );
}

const gone = (reply: FastifyReply, status: number) =>
  reply.code(status).send({ error: { message: 'Resource has been deleted' } });

/** Lunch of each day, what was written, and an absence. */
function eventsOf({ away }: CalendarMood, written: Calendar, from: string, to: string): CalendarEvent[] {
  const today = Date.now() - (Date.now() % DAY_MS);
  const lunches = Array.from({ length: AWAY_DAYS }, (_, day) => {
    const midnight = today + day * DAY_MS;
    const at = (hours: number) => new Date(midnight + hours * HOUR_MS).toISOString();
    return { id: `lunch${midnight}`, start: at(12), end: at(13) };
  });
  const absence = {
    id: 'away',
    start: new Date(today).toISOString(),
    end: new Date(today + AWAY_DAYS * DAY_MS).toISOString(),
  };
  return [...lunches, ...written.values(), ...(away ? [absence] : [])].filter(
    ({ start, end }) => Date.parse(start) < Date.parse(to) && Date.parse(end) > Date.parse(from),
  );
}

type TokenKind = 'code' | 'access' | 'refresh';

const sign = (text: string): string => createHmac('sha256', 'played').update(text).digest('base64url');

function issue(provider: CalendarProvider, kind: TokenKind, account: string): string {
  const text = [provider, kind, account, Date.now(), randomBytes(6).toString('hex')].join('.');
  return `${text}.${sign(text)}`;
}

/** Whose token it is; undefined where it is none of that kind, or consent was withdrawn since. */
function accountOf(
  token: string | undefined,
  provider: CalendarProvider,
  kind: TokenKind,
  { revokedAt }: CalendarMood,
): string | undefined {
  const parts = (token ?? '').split('.');
  const signature = parts.pop();
  const [of, as, account, issuedAt] = parts;
  const holds =
    of === provider &&
    as === kind &&
    signature === sign(parts.join('.')) &&
    (revokedAt === null || Number(issuedAt) > Date.parse(revokedAt));
  return holds ? account : undefined;
}

function bearerOf({ headers }: FastifyRequest): string {
  return (headers.authorization ?? '').replace(/^Bearer /, '');
}

/** The token was looked at before. */
function ownerOf(request: FastifyRequest): string {
  return bearerOf(request).split('.')[2] ?? '';
}
