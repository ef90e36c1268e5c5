import { activityInfo } from '@temporalio/activity';
import type {
  Asked,
  BusyWindow,
  CalendarStatus,
  Connection,
} from '../../../src/activities/calendar/calendar';
import { startTestEnvironment, type TestEnvironment } from '../../../src/doors/testing';
import { quietTemporal } from '../../support/quiet';
import { databaseOfNobody } from '../database-of-nobody';

quietTemporal();
const NAME = 'recoverCalendarSync';
const DAY_MS = 86_400_000;
const connection = (id: string, more: Partial<Connection> = {}): Connection => ({
  ...{ id, provider: id, state: 'connected', lastSync: '2026-11-22T10:00:00.000Z', backlog: 0, error: null },
  trouble: null,
  ...more,
});
const done: Asked = {
  ok: true,
  status: null,
  detail: 'answered 200',
  again: false,
  waitMs: null,
  nothing: false,
};
const refusal = (more: Partial<Asked>): Asked => ({ ...done, ok: false, detail: 'refused', ...more });

let connections: Connection[];
let windows: BusyWindow[];
let answers: Record<string, () => Asked>;
let writeback: () => Asked;
let synced: string[];
let looks: number;
let told: string[];
/** By the clock of the server, which skips time. */
let clockMs: number;
let askedAt: number[];
let atLook: (nowMs: number) => void;

const find = (id: string) => connections.find((one) => one.id === id)!;
const set = (id: string, more: Partial<Connection>) => Object.assign(find(id), more);
const sync = (provider: string): Asked => {
  const answer = (answers[provider] ?? (() => done))();
  if (!answer.ok) return answer;
  for (const one of connections.filter((it) => it.provider === provider && it.state === 'connected'))
    Object.assign(one, {
      lastSync: new Date(clockMs).toISOString(),
      trouble: (one.backlog ?? 0) > 0 ? 'backlog' : null,
      error: null,
    });
  return answer;
};
const tick = () => (clockMs = activityInfo().currentAttemptScheduledTimestampMs);
const status = (): CalendarStatus => ({
  ...{
    connections,
    total: connections.length,
    troubled: connections.filter(({ trouble }) => trouble !== null).length,
  },
  ...{
    windows,
    providers: ['google', 'microsoft'],
    reconnect: { google: 'https://app.example/g?for={connection}' },
  },
  ...{ canWriteBack: true, maxRounds: 5, settleMs: 20_000, patienceMs: 600_000, unconfigured: [] },
});

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startTestEnvironment({
    packs: [],
    timeSkipping: true,
    config: {
      services: {
        shop: {
          mode: 'auto',
          approval: { humanWaitHours: 240 },
          environments: { production: { database: databaseOfNobody } },
        },
      },
    },
    activities: {
      readCalendar: async () => structuredClone(status()),
      followCalendar: async ({ ids }) => {
        looks += 1;
        atLook(tick());
        return structuredClone(connections.filter(({ id }) => ids.includes(id)));
      },
      checkBusyWindows: async () => windows,
      syncCalendar: async ({ provider }) => {
        askedAt.push(tick());
        synced.push(provider);
        return sync(provider);
      },
      writeBackCalendar: async () => {
        synced.push('writeback');
        return writeback();
      },
      listChecks: async () => ({ health: 0, errorRate: false, smoke: false }),
      checkHealth: async () => [],
      runServiceCommand: async () => ({ ran: false, detail: '', durationMs: 0 }),
      announce: async ({ text }) => {
        told.push(text);
        return { told: ['chat'], problems: [] };
      },
    },
  });
});
beforeEach(() => {
  connections = [];
  windows = [{ name: 'night', verdict: 'busy', detail: 'taken' }];
  [answers, synced, told, askedAt, looks] = [{}, [], [], [], 0];
  writeback = () => (connections.forEach((one) => Object.assign(one, { backlog: 0, trouble: null })), done);
  atLook = () => undefined;
});
afterAll(() => environment?.stop());

const begin = () => environment.start(NAME, { service: 'shop', environment: 'production' });
const stale = (id: string, more: Partial<Connection> = {}) => connection(id, { trouble: 'stale', ...more });

it('an owner reconnects after days: the run goes on by itself, its history is bounded, and the other one was synced at once', async () => {
  connections = [connection('google', { state: 'expired', trouble: 'expired' }), stale('microsoft')];
  let first: number | undefined;
  atLook = (nowMs) => {
    first ??= nowMs;
    if (find('google').state === 'expired' && nowMs - first > 8 * DAY_MS)
      set('google', { state: 'connected', trouble: 'stale' });
  };
  const handle = await begin();
  const report = await environment.end(handle);
  expect([report.outcome, synced]).toEqual(['SUCCEEDED', ['microsoft', 'google']]);
  expect(askedAt[1]! - askedAt[0]!).toBeGreaterThan(8 * DAY_MS);
  const { historyLength } = await handle.describe();
  expect(historyLength).toBeLessThan(6_000);
  expect(looks).toBeLessThan(450);
});

it('one is connected again and is synced while the other still waits; what the other never does is said', async () => {
  connections = [
    connection('google', { state: 'expired', trouble: 'expired' }),
    connection('microsoft', { state: 'disconnected', trouble: 'disconnected' }),
  ];
  let first: number | undefined;
  atLook = (nowMs) => {
    first ??= nowMs;
    if (find('google').state === 'expired' && nowMs - first > DAY_MS)
      set('google', { state: 'connected', trouble: 'stale' });
  };
  const report = await environment.end(await begin());
  expect(synced).toEqual(['google']);
  expect(report.outcome).toBe('PARTIAL');
  expect(report.summary).toMatch(/nobody did it in time: 1 calendar connection .*microsoft \(disconnected/);
  expect(report.summary).toContain('changed and not undone: calendars of google were synced');
  expect(report.summary).not.toContain('google (');
});

it('a Retry-After is waited for, and one beyond patience is not', async () => {
  connections = [stale('google')];
  let tries = 0;
  answers['google'] = () =>
    (tries += 1) === 1 ? refusal({ status: 429, again: true, waitMs: 300_000, nothing: true }) : done;
  expect((await environment.end(await begin())).outcome).toBe('SUCCEEDED');
  expect(askedAt[1]! - askedAt[0]!).toBeGreaterThanOrEqual(300_000);
  synced = [];
  connections = [stale('google')];
  answers['google'] = () =>
    refusal({
      status: 429,
      again: true,
      waitMs: 3_600_000,
      nothing: true,
      detail: 'left alone for 3600 s (429)',
    });
  const report = await environment.end(await begin());
  expect([report.outcome, synced, report.summary]).toEqual([
    'FAILED',
    ['google'],
    expect.stringMatching(/0 of 1 connection in sync; not: google: limit \(left alone for 3600 s/),
  ]);
  expect(told.join()).toContain('google: limit');
});

it.each<[string, Partial<Asked>, number, RegExp]>([
  ['the provider is down', { status: 503, again: true }, 3, /google: provider \(refused\)/],
  ['nobody answers', { again: true }, 3, /google: provider \(refused\)/],
  [
    'our token is wrong',
    { status: 401, nothing: true },
    1,
    /google: credentials .*correct the credentials of calendar\.providers\.google\.sync/,
  ],
  ['nothing is there', { status: 404, nothing: true }, 1, /google: address/],
  ['it is a web page', {}, 1, /google: unknown/],
])(
  '%s: bounded tries, the cause, and people are called; the other one recovers',
  async (_, more, tries, cause) => {
    connections = [stale('google'), stale('microsoft')];
    answers['google'] = () => refusal(more);
    const report = await environment.end(await begin());
    expect(synced.filter((one) => one === 'google')).toHaveLength(tries);
    expect(report.summary).toMatch(/1 of 2 connections in sync \(microsoft\); not: google/);
    expect(report.summary).toMatch(cause);
    // The other one was synced, which stays.
    expect(report.outcome).toBe('PARTIAL');
    expect(told.join()).toMatch(cause);
  },
);

it('a sync that answers well and does nothing is a failure, with what the application says of it', async () => {
  connections = [stale('google')];
  answers['google'] = () => done;
  const still = find('google').lastSync;
  atLook = () => set('google', { lastSync: still, trouble: 'stale' });
  const report = await environment.end(await begin());
  expect([report.outcome, report.summary]).toEqual([
    'PARTIAL',
    expect.stringContaining(
      'google: idle (the sync was taken (answered 200), and the last one is still at 2026-11-22T10:00:00.000Z)',
    ),
  ]);
  atLook = () => set('google', { lastSync: still, trouble: 'stale', error: 'HTTP 503 from the provider' });
  expect((await environment.end(await begin())).summary).toContain('google: provider (HTTP 503');
});

it('rounds of writeback are bounded, and a backlog that stays is said', async () => {
  connections = [connection('google', { backlog: 4, trouble: 'backlog' })];
  writeback = () => done;
  const report = await environment.end(await begin());
  expect(synced).toEqual(['writeback', 'writeback']);
  expect([report.outcome, report.summary]).toEqual([
    'PARTIAL',
    expect.stringContaining('google: backlog (4 changes wait to be written back; 2 rounds answered well)'),
  ]);
});

it('a token that the provider refuses is a task also where the state says connected; people say that it is done', async () => {
  connections = [stale('google')];
  let mended = false;
  answers['google'] = () => done;
  const was = find('google').lastSync;
  atLook = () => mended || set('google', { lastSync: was, trouble: 'stale', error: 'invalid_grant' });
  const handle = await begin();
  const task = await environment.waiting(handle, 'task');
  expect(task.question).toMatch(
    /google \(token; invalid_grant\): https:\/\/app\.example\/g\?for=google\. Say that it is done/,
  );
  mended = true;
  await environment.answer(handle, 'done', { task: task.id, by: 'ben' });
  expect((await environment.end(handle)).outcome).toBe('SUCCEEDED');
});

it('busy times that can be booked although all say that they are in sync: everything is synced, and what stays open is a failure', async () => {
  connections = [connection('google')];
  windows = [{ name: 'night', verdict: 'free', detail: '02:00 can be booked' }];
  const report = await environment.end(await begin());
  expect([synced, report.outcome]).toEqual([['google'], 'PARTIAL']);
  expect(report.summary).toContain('busy window "night" can be booked');
});

it('where nobody can tell whether busy times are taken, nothing is well', async () => {
  connections = [connection('google')];
  windows = [{ name: 'night', verdict: 'unproven', detail: 'no answer' }];
  const report = await environment.end(await begin());
  expect([synced, report.outcome, report.summary]).toEqual([
    [],
    'FAILED',
    expect.stringContaining('"night" is not proven: no answer'),
  ]);
});

it('one that is lost again and again ends with a person, after a bounded number of tasks', async () => {
  connections = [connection('google', { state: 'expired', trouble: 'expired' }), connection('microsoft')];
  let lostAt = 0;
  atLook = (nowMs) => {
    if (find('google').state === 'expired' && nowMs - lostAt > 3_600_000)
      set('google', { state: 'connected', trouble: 'stale' });
  };
  answers['google'] = () => {
    lostAt = clockMs;
    set('google', { state: 'expired', trouble: 'expired' });
    return done;
  };
  const report = await environment.end(await begin());
  expect([report.outcome, report.summary]).toEqual([
    'NEEDS_HUMAN',
    expect.stringMatching(/to be reconnected though owners were asked 3 times: google: expired/),
  ]);
});
