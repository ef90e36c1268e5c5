import type { z } from 'zod';
import { createCalendarActivities } from '../../../src/activities/calendar/calendar';
import { calendarSchema } from '../../../src/activities/calendar/settings';
import {
  calendarSection,
  CALENDAR_TOKEN,
  renamedSection,
  startCalendarApp,
  type CalendarApp,
} from '../../simulators/calendar';
import { duringTests } from '../../support/stand-in';
import { failureOf, runActivity, startTestPostgres, type TestDatabase } from '../../support/postgres';

const postgres = duringTests(() => startTestPostgres());
const app: CalendarApp = duringTests(() => startCalendarApp());
let database: TestDatabase;
beforeAll(async () => {
  process.env['CALENDAR_TOKEN'] = CALENDAR_TOKEN;
  database = await postgres.fresh();
});
beforeEach(() => app.reset());

type Section = z.input<typeof calendarSchema>;
const place = { service: 'shop', environment: 'production' };
const fence = { target: 'shop/production/application', token: 1 };
const MINUTE_MS = 60_000;
const ago = (minutes: number) => new Date(Date.now() - minutes * MINUTE_MS).toISOString();

function activities(change: (section: Section) => Section = (section) => section) {
  const calendar = calendarSchema.parse(change(calendarSection(app.url)));
  // Each test has its own section; the rest is that of the database.
  Object.assign(database.deps.config.services['shop']!.environments['production']!, { calendar });
  return createCalendarActivities(database.deps);
}
const read = (change?: (section: Section) => Section) => runActivity(activities(change).readCalendar, place);
const sync = (change?: (section: Section) => Section) =>
  runActivity(activities(change).syncCalendar, { ...place, fence, provider: 'google' });

describe('the status', () => {
  it('says of each connection what is wrong with it, those in trouble first', async () => {
    app.connect('google');
    app.connect('microsoft', { lastSyncAt: ago(31) });
    app.connect('google', { id: 'g2', status: 'expired' });
    app.connect('google', { id: 'g3', status: 'revoked', lastSyncAt: null });
    app.connect('google', { id: 'g4', lastSyncAt: null });
    app.connect('google', { id: 'g5', lastSyncAt: ago(-10) });
    app.connect('google', { id: 'g6', writebackPending: 3 });
    app.connect('google', { id: 'off', status: 'disabled' });
    const { connections, total, troubled } = await read();
    expect(connections.map(({ id, trouble }) => [id, trouble])).toEqual([
      ['microsoft-1', 'stale'],
      ['g2', 'expired'],
      ['g3', 'disconnected'],
      ['g4', 'never'],
      ['g5', 'future'],
      ['g6', 'backlog'],
      ['google-1', null],
    ]);
    expect([total, troubled]).toEqual([7, 6]);
  });

  it('of another application is read by its own words', async () => {
    app.connect('google', {
      status: 'lapsed',
      writebackPending: 4,
      lastError: 'see https://x.example/?key=very-secret',
    });
    const { connections, unconfigured } = await read(() => renamedSection(app.url));
    expect(connections).toEqual([
      expect.objectContaining({
        id: 'google',
        provider: 'google',
        state: 'expired',
        backlog: 4,
        error: 'see x.example',
      }),
    ]);
    expect(unconfigured).toEqual([expect.stringContaining('providers.google.reconnect is not configured')]);
  });

  it('names at most as many as a run follows, and counts all', async () => {
    for (let index = 0; index < 5; index += 1) app.connect('google', { id: `g${index}`, status: 'expired' });
    const { connections, troubled } = await read((section) => ({ ...section, maxConnections: 2 }));
    expect([connections.length, troubled]).toEqual([2, 5]);
    const many = Array.from({ length: 2_001 }, (_, id) => ({ id, provider: 'google', status: 'disabled' }));
    app.state.instead = { body: JSON.stringify({ connections: many }) };
    expect((await failureOf(read())).message).toContain('lists 2001 connections, more than 2000');
  });

  it.each<[string, { status?: number; type?: string; body: string }, RegExp]>([
    ['a web page', { type: 'text/html', body: '<html>' }, /answered 200 with a web page instead of JSON/],
    [
      'an error inside',
      { body: '{"error":"boom"}' },
      /no list at "connections"; correct calendar\.status\.list/,
    ],
    ['a text', { body: '{"connections":"none"}' }, /no list at "connections"/],
    [
      'a word of its own',
      { body: '{"connections":[{"provider":"google","status":"meh","lastSyncAt":null}]}' },
      /the state "meh"; correct it, or name it in calendar\.states/,
    ],
    [
      'no last sync',
      { body: '{"connections":[{"provider":"google","status":"connected"}]}' },
      /says nothing at "lastSyncAt"/,
    ],
    [
      'a time without a zone',
      {
        body: '{"connections":[{"provider":"google","status":"connected","lastSyncAt":"2026-11-22 10:00"}]}',
      },
      /where a time with its zone, or null, is expected/,
    ],
    [
      'no number',
      {
        body: '{"connections":[{"provider":"google","status":"connected","lastSyncAt":null,"writebackPending":null}]}',
      },
      /no number at "writebackPending"/,
    ],
    [
      'one twice',
      {
        body: `{"connections":${JSON.stringify(Array(2).fill({ id: 7, provider: 'google', status: 'expired', lastSyncAt: null, writebackPending: 0 }))}}`,
      },
      /two connections are called "7"/,
    ],
    ['nobody', { body: '{"connections":[]}' }, /lists no connection at all/],
    ['404', { status: 404, body: '' }, /has nothing there \(404\)/],
  ])('that is %s is an error, and never well', async (_, instead, message) => {
    app.state.instead = instead;
    const failure = await failureOf(read());
    expect([failure.message, failure.nonRetryable]).toEqual([expect.stringMatching(message), true]);
  });
});

describe('busy windows', () => {
  beforeEach(() => void app.connect('google'));
  const windows = async (change?: (section: Section) => Section) => (await read(change)).windows[0];

  it('are taken where nothing is offered in them, and something around them', async () => {
    app.addEvents('google', true);
    expect(await windows()).toMatchObject({ name: 'night', verdict: 'busy' });
  });

  it('can be booked where the application does not know of them', async () => {
    app.addEvents('google', false);
    expect(await windows()).toMatchObject({
      verdict: 'free',
      detail: expect.stringMatching(/T02:00:00\.000Z to .*can be booked$/),
    });
  });

  it('prove nothing where nothing at all is offered', async () => {
    app.state.imported.push({ provider: 'google', from: 0, to: 8.64e15 });
    expect(await windows()).toMatchObject({
      verdict: 'unproven',
      detail: expect.stringContaining('nothing is offered from'),
    });
  });

  it('prove nothing where they are over, or nobody can be asked', async () => {
    const busy = [{ name: 'old', from: '2026-01-01T10:00:00Z', to: '2026-01-01T11:00:00Z' }];
    expect(await windows((section) => ({ ...section, busy }))).toMatchObject({
      verdict: 'unproven',
      detail: expect.stringContaining('it is over since'),
    });
    const gone = { url: `${app.url}/gone`, auth: calendarSection('').status.auth };
    expect(await windows((section) => ({ ...section, availability: gone }))).toMatchObject({
      verdict: 'unproven',
      detail: expect.stringContaining('(404)'),
    });
    const { windows: none, unconfigured } = await read(({ availability: _, ...section }) => section);
    expect([none[0]?.verdict, unconfigured]).toEqual([
      'unproven',
      [expect.stringContaining('calendar.availability is not configured')],
    ]);
  });

  it('and slots of another shape prove nothing', async () => {
    const slot = { available: 'free' };
    const availability = { ...calendarSection(app.url).availability, slot };
    app.addEvents('google', true);
    expect(await windows((section) => ({ ...section, availability }))).toMatchObject({
      verdict: 'unproven',
      detail: expect.stringContaining('neither true nor false at "free"'),
    });
  });
});

describe('a sync', () => {
  beforeEach(() => void app.connect('google', { lastSyncAt: ago(90) }));

  it('is asked for under the fence', async () => {
    expect(await sync()).toMatchObject({ ok: true, detail: 'answered 200' });
    const stale = await failureOf(
      runActivity(activities().syncCalendar, { ...place, fence: { ...fence, token: 0 }, provider: 'google' }),
    );
    expect(stale.type).toBe('StaleFencingToken');
    expect(app.posts()).toHaveLength(1);
  });

  it.each([
    ['limited', { status: 429, again: true, waitMs: 600_000, nothing: true }],
    ['refused', { status: 403, again: false, waitMs: null, nothing: true }],
    ['down', { status: 503, again: true, waitMs: null, nothing: false }],
  ] as const)('that is %s is an answer that says whether to ask again', async (mood, wanted) => {
    app.state.moods['google'] = mood;
    app.state.retryAfterSeconds = 600;
    const asked = await sync();
    expect(asked).toMatchObject({ ok: false, ...wanted });
    expect(JSON.stringify(asked)).not.toContain(CALENDAR_TOKEN);
  });

  it('that is refused only after an earlier attempt may have begun', async () => {
    app.state.moods['google'] = 'refused';
    // An attempt is a holder of its own.
    const input = { ...place, fence: { ...fence, target: 'of-a-retry' }, provider: 'google' };
    const asked = await runActivity(activities().syncCalendar, input, { attempt: 2 });
    expect(asked).toMatchObject({ ok: false, status: 403, nothing: false });
  });

  it('that answers with nothing in time may have begun', async () => {
    app.state.moods['google'] = 'silent';
    expect(await sync()).toMatchObject({
      ok: true,
      nothing: false,
      detail: expect.stringContaining('within 3 s'),
    });
  });

  it('shows no token, also where the server repeats it', async () => {
    process.env['CALENDAR_TOKEN'] = 'another-token';
    try {
      const asked = await sync();
      expect(asked).toMatchObject({ ok: false, status: 401, again: false });
      expect(JSON.stringify(asked)).not.toContain('another-token');
    } finally {
      process.env['CALENDAR_TOKEN'] = CALENDAR_TOKEN;
    }
  });

  it('of a provider that is not configured is refused', async () => {
    const failure = await failureOf(
      runActivity(activities().syncCalendar, { ...place, fence, provider: 'constructor' }),
    );
    expect(failure.message).toContain('calendar.providers.constructor is missing');
  });
});

it.each([
  [{ from: '02:00', to: '2026-01-01T10:00:00Z' }],
  [{ from: '25:00', to: '26:00' }],
  [{ from: '2026-01-01T10:00:00', to: '2026-01-01T11:00:00' }],
])('a busy window of %j is refused', (times) => {
  const section = { ...calendarSection('http://x'), busy: [{ name: 'night', ...times }] };
  expect(calendarSchema.safeParse(section).success).toBe(false);
});
