import type { Symptoms } from '../../../../src/activities/application/symptoms';
import type { Deployment } from '../../../../src/activities/deployments/deployment-list';
import {
  cluesOf,
  failingChecks,
  type ErrorFacts,
} from '../../../../src/workflows/application/resolve-high-error-rate/facts';
import {
  findingsOf,
  labelOf,
  remediesOf,
} from '../../../../src/workflows/application/resolve-high-error-rate/findings';
import { isBetter } from '../../../../src/workflows/application/serving';

const BEGAN = Date.parse('2026-11-21T12:00:00.000Z');
const MINUTE = 60_000;

const symptoms = (more: Partial<Symptoms> = {}): Symptoms => ({
  ok: false,
  rate: 0.4,
  rateKnown: true,
  band: 'critical',
  windowMs: 0,
  failing: [{ name: 'ready', ok: false, detail: '503' }],
  checks: 1,
  detail: 'error rate 40 %',
  ...more,
});

const deployed = (id: string, minutesBefore: number, current = false): Deployment => ({
  id,
  createdAt: new Date(BEGAN - minutesBefore * MINUTE).toISOString(),
  state: 'ready',
  current,
});

const pool = (used: number, waiting: number | null) => ({
  max: 10,
  used,
  waiting,
  canSetMax: true,
  canRestart: true,
  detail: '',
});

const calm: ErrorFacts = {
  symptoms: symptoms(),
  remedies: {
    restart: true,
    features: ['reminders'],
    adjustments: [],
    raiseLimitsMs: MINUTE,
    suspectMs: 60 * MINUTE,
    maxUtilisation: 0.8,
  },
  beganAtMs: BEGAN,
  detailed: {
    configured: true,
    ok: true,
    status: 200,
    body: { checks: { database: { ok: true } } },
    detail: 'answered 200',
  },
  database: { reachable: true, full: false, utilisation: 0.2, detail: 'answers' },
  pool: pool(2, 0),
  external: [{ name: 'twilio', state: 'healthy', detail: 'says "none"' }],
  deployments: [deployed('new', 5_000, true), deployed('old', 9_000)],
  rateLimits: { refusedShare: 0, tooMany: false, limit: null, detail: 'none' },
  log: null,
  variables: null,
  queries: null,
};
const labels = (more: Partial<ErrorFacts>) =>
  findingsOf({ ...calm, ...more }).map(({ remedy }) => labelOf(remedy));

const full = { reachable: false, full: true, utilisation: 1, detail: 'too many clients already' };
const away = { reachable: false, full: false, utilisation: null, detail: 'connection refused' };
const young = [deployed('new', 30, true), deployed('old', 9_000)];
const broken = { ...calm.detailed!, body: { checks: { reminders: { ok: false, error: 'no such table' } } } };
const limited = { refusedShare: 0.3, tooMany: true, limit: null, detail: '30 %' };
const sick = [{ name: 'twilio', state: 'unhealthy' as const, detail: 'says "major"' }];
const dead = symptoms({ rate: 1, rateKnown: false });
const mute = { configured: true, ok: false, status: null, body: null, detail: 'no answer' };

describe('what speaks for a cause', () => {
  it('is nothing where everything is calm', () => {
    expect(labels({})).toEqual([]);
  });

  it.each<[string, Partial<ErrorFacts>, string[]]>([
    ['a database that gives no answer', { database: away }, ['by hand']],
    ['a service of others in trouble', { external: sick }, ['contact twilio']],
    ['a server without connections', { database: full }, ['relieve the connection pool']],
    [
      'a server that is nearly full',
      { database: { ...calm.database!, utilisation: 0.8 } },
      ['relieve the connection pool'],
    ],
    ['a pool that is full', { pool: pool(10, null) }, ['relieve the connection pool']],
    ['a pool that requests wait for', { pool: pool(9, 3) }, ['relieve the connection pool']],
    ['a feature whose check fails', { detailed: broken }, ['switch off reminders']],
    ['a young deployment', { deployments: young }, ['roll back new to old']],
    ['requests that are refused', { rateLimits: limited }, ['raise the rate limits']],
    [
      'variables that are missing: after what can be done about the rest',
      { variables: { configured: true, required: 2, missing: ['SMTP_URL'] }, deployments: young },
      ['roll back new to old', 'by hand'],
    ],
    [
      'an application that gives no answer at all',
      { symptoms: dead, detailed: mute },
      ['restart the application'],
    ],
  ])('%s', (_, facts, expected) => {
    expect(labels(facts)).toEqual(expected);
  });

  it.each<[string, Partial<ErrorFacts>]>([
    ['a busy pool that nobody waits for', { pool: pool(9, 0) }],
    ['a database that only the worker cannot reach', { database: away, symptoms: symptoms({ failing: [] }) }],
    ['a status page that cannot be read', { external: [{ name: 'twilio', state: 'unknown', detail: '' }] }],
    [
      'a failing check that is no feature',
      { detailed: { ...broken, body: { checks: { availability: { ok: false } } } } },
    ],
    ['a deployment of long ago', { deployments: [deployed('new', 61, true), deployed('old', 9_000)] }],
    [
      'a deployment that came after the errors',
      { deployments: [deployed('new', -2, true), deployed('old', 9_000)] },
    ],
    ['a silence that the database explains', { symptoms: dead, detailed: mute, database: null }],
    ['an application of which one check answers', { symptoms: { ...dead, checks: 2 }, detailed: mute }],
  ])('is not %s', (_, facts) => {
    expect(labels(facts)).toEqual([]);
  });

  const unlimited = { ...calm.remedies, raiseLimitsMs: null };
  it.each<[string, Partial<ErrorFacts>, RegExp]>([
    [
      'a young deployment with nothing before it',
      { deployments: [deployed('new', 30, true)] },
      /^Probably the deployment of new: .* nothing to go back to/,
    ],
    [
      'limits that nobody may raise',
      { rateLimits: limited, remedies: unlimited },
      /^Probably the rate limits turn customers away: 30 %\. Raise them by hand/,
    ],
  ])('%s, which is left to people', (_, facts, task) => {
    const found = findingsOf({ ...calm, ...facts });
    expect(found).toHaveLength(1);
    expect(found[0]?.remedy).toEqual({ kind: 'byHand', task: expect.stringMatching(task) as string });
  });

  it('comes in the order of how directly it was measured', () => {
    const everything = {
      database: full,
      external: sick,
      detailed: broken,
      deployments: young,
      rateLimits: limited,
    };
    expect(labels(everything)).toEqual([
      'contact twilio',
      'relieve the connection pool',
      'switch off reminders',
      'roll back new to old',
      'raise the rate limits',
    ]);
  });

  it('leaves everything that is configured to a person when it is nothing', () => {
    expect(remediesOf(calm).map(labelOf)).toEqual([
      'roll back new to old',
      'restart the application',
      'switch off reminders',
      'relieve the connection pool',
      'raise the rate limits',
    ]);
    const nothing = {
      restart: false,
      features: [],
      adjustments: [],
      raiseLimitsMs: null,
      suspectMs: null,
      maxUtilisation: 0.8,
    };
    expect(remediesOf({ ...calm, deployments: [], remedies: nothing }).map(labelOf)).toEqual([
      'relieve the connection pool',
    ]);
  });
});

describe('failing checks', () => {
  it.each<[string, unknown, string[]]>([
    [
      'our own shape',
      { status: 'unavailable', checks: { database: { ok: true }, mail: { ok: false, error: 'refused' } } },
      ['mail: refused'],
    ],
    [
      'Terminus',
      { status: 'error', error: { redis: { status: 'down', message: 'timeout' } } },
      ['redis: timeout'],
    ],
    [
      'the health+json draft',
      { status: 'fail', checks: { 'db:time': [{ status: 'fail', output: 'slow' }] } },
      ['db:time: slow'],
    ],
    ['only a status', { status: 'DOWN' }, ['the application: DOWN']],
    ['a healthy one', { status: 'ok', checks: { database: { ok: true } } }, []],
    ['no object', 'down', []],
  ])('are found in %s', (_, body, expected) => {
    expect(failingChecks(body).map(({ name, detail }) => `${name}: ${detail}`)).toEqual(expected);
  });

  it('are at most twenty', () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`c${index}`, { ok: false }]));
    expect(failingChecks(many)).toHaveLength(20);
  });
});

describe('a remedy helped', () => {
  const none = { failing: [] };
  it.each<[boolean, string, Partial<Symptoms>, Partial<Symptoms>]>([
    [true, 'when more than half of the errors are gone', { rate: 0.6 }, { rate: 0.29 }],
    [false, 'not when about as many are left', { rate: 0.6 }, { rate: 0.31 }],
    [true, 'when a check holds again and errors did not grow', { rate: 0.1 }, { rate: 0.1, ...none }],
    [false, 'not when a check holds again and errors grew', { rate: 0.1 }, { rate: 0.2, ...none }],
    [
      false,
      'not when all was well before',
      { ok: true, rate: 0.001, band: 'objective', ...none },
      { rate: 0, ...none },
    ],
    [true, 'when the application answers again at all', { rate: 1, rateKnown: false }, { rate: 0.02 }],
    [
      false,
      'not when nothing is measured',
      { rate: null, band: null, ...none },
      { rate: null, band: null, ...none },
    ],
  ])('%s: %s', (better, _, before, now) => {
    expect(isBetter(symptoms(before), symptoms(now))).toBe(better);
  });
});

describe('what a person is told beside the cause', () => {
  const since = '2026-11-21T11:55:00.000Z';
  const log = (more: object) => ({
    since,
    log: { errors: 0, warnings: 0, topErrors: [], watched: [], cut: false, permitted: 0, ...more },
  });
  const kind = (count: number, message: string, more: object = {}) => ({
    level: 'error' as const,
    message,
    count,
    stack: '',
    ...more,
  });

  it.each<[string, Partial<ErrorFacts>, string]>([
    ['nothing where nothing is configured', { log: { since, log: null } }, ''],
    [
      'why a log could not be read',
      { log: { since, unread: 'Loki is away' } },
      'The log could not be read (Loki is away).',
    ],
    ['that there is no error', { log: log({}) }, 'No error in the log since 2026-11-21 11:55:00 UTC.'],
    [
      'that there is none in what could be read',
      { log: log({ cut: true }) },
      'No error in what could be read of the log since 2026-11-21 11:55:00 UTC.',
    ],
    [
      'the three most frequent kinds, each with its innermost call',
      {
        log: log({
          errors: 17,
          topErrors: [
            kind(9, 'no slot', { stack: 'at hold (a.js:1) < at main (b.js:2)', requestIds: ['r-1', 'r-2'] }),
            kind(5, 'late', { requestIds: ['r-3'] }),
            kind(2, 'odd'),
            kind(1, 'rare'),
          ],
        }),
      },
      'In the log since 2026-11-21 11:55:00 UTC: 9 x no slot (at hold (a.js:1); requests r-1, r-2); 5 x late (request r-3); 2 x odd.',
    ],
    [
      'what is missing',
      { variables: { configured: true, required: 2, missing: ['A', 'B'] } },
      'Environment variables are missing: A, B.',
    ],
  ])('%s', (_, facts, expected) => expect(cluesOf({ ...calm, ...facts })).toBe(expected));
});
