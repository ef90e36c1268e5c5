import type { z } from 'zod';
import { clockChecks, createAuthActivities, type AuthExamination } from '../../../src/activities/auth/auth';
import { authSchema } from '../../../src/activities/auth/settings';
import {
  ADMIN_TOKEN,
  authSection,
  setAuthSecrets,
  startAuthApp,
  TEST_PASSWORD,
  type AuthApp,
} from '../../simulators/auth';
import { failureOf, runActivity, startTestPostgres, type TestDatabase } from '../../support/postgres';
import { duringTests } from '../../support/stand-in';

const postgres = duringTests(() => startTestPostgres());
const app: AuthApp = duringTests(() => startAuthApp());
let database: TestDatabase;
beforeAll(async () => {
  setAuthSecrets();
  database = await postgres.fresh();
});
beforeEach(() => app.reset());
afterEach(() => setAuthSecrets());

type Section = z.input<typeof authSchema>;
const place = { service: 'shop', environment: 'production' };
const activities = (change: (section: Section) => Section = (section) => section) => {
  const authentication = authSchema.parse(change(authSection(app.url)));
  Object.assign(database.deps.config.services['shop']!.environments['production']!, { authentication });
  return createAuthActivities(database.deps);
};
const examine = async (change?: (section: Section) => Section): Promise<AuthExamination> => {
  const found = await runActivity(activities(change).examineAuthentication, place);
  // Whatever happened: what goes into a history.
  const text = JSON.stringify(found);
  for (const secret of [TEST_PASSWORD, ADMIN_TOKEN, 'the-value-of', ...app.issued])
    expect(text).not.toContain(secret);
  return found;
};
const failed = async (change?: (section: Section) => Section) =>
  (await examine(change)).checks
    .filter(({ verdict }) => verdict === 'failed')
    .map(({ topic, detail }) => `${topic}: ${detail}`);
const of = async (topic: string, change?: (section: Section) => Section) =>
  (await examine(change)).checks.find((one) => one.topic === topic);

it('nothing is wrong with a login that is well', async () => {
  const { checks, unconfigured } = await examine();
  expect(checks.map(({ topic, verdict }) => `${topic} ${verdict}`)).toEqual([
    'provider ok',
    'callbacks ok',
    'credentials ok',
    'clock ok',
    'login ok',
    'token ok',
    'keys ok',
    'access ok',
  ]);
  expect(checks.find(({ topic }) => topic === 'keys')?.detail).toBe('key key-1 proves the signature');
  expect(unconfigured).toEqual([]);
});

describe('the token', () => {
  it('signed by a key that is not published', async () => {
    app.state.signing = app.makeKey('key-2');
    expect(await failed()).toEqual([
      'keys: a fresh token is signed by key key-2, which is not published; published: key-1',
      expect.stringContaining('access: '),
    ]);
  });

  it('signed by another key under a published name', async () => {
    app.state.signing = app.makeKey('key-1');
    expect(await failed()).toEqual([
      'keys: key key-1 is published, and does not prove the signature of a fresh token',
    ]);
  });

  it('signed by a key that has expired', async () => {
    app.state.signing = app.makeKey('key-2', { exp: 1_700_000_000 });
    app.state.published.push(app.state.signing.jwk);
    expect(await failed()).toEqual([
      'keys: key key-2 signs fresh tokens, and expired at 2023-11-14T22:13:20.000Z',
    ]);
  });

  it('without a kid is proven by the only key, and by none where there are several', async () => {
    app.state.withoutKid = true;
    expect((await of('keys'))?.detail).toBe(
      'key key-1 proves the signature; it names no key, and the only one fits',
    );
    app.state.published.push(app.makeKey('key-2').jwk);
    expect(await failed()).toEqual(['keys: a fresh token names no key ("kid"), and 2 published ones fit it']);
  });

  it('that has expired, is for others, or is no token', async () => {
    app.state.lifetimeSeconds = -120;
    expect((await failed())[0]).toMatch(/^token: a fresh token expired 12\d s ago by our clock/);
    app.reset();
    expect(await failed((section) => ({ ...section, audience: 'others' }))).toEqual([
      'token: its "aud" is not others',
    ]);
    app.state.instead['/token'] = { body: '{"access_token":"not-a-jwt"}' };
    expect(await failed()).toContain(
      'token: what the login gives is no JWT; where that is meant so, say authentication.token: opaque',
    );
  });

  it('that a key signs is not judged by a secret', async () => {
    const secret = '${env:AUTH_TEST_PASSWORD}';
    expect((await of('keys', (section) => ({ ...section, secret })))?.verdict).toBe('ok');
    // Where there is nothing but a secret, nobody verifies it.
    const unproven = await of('keys', ({ jwks: _, ...section }) => ({ ...section, secret }));
    expect(unproven).toMatchObject({
      verdict: 'failed',
      detail: 'a token is signed by "ES256", and not with a secret',
    });
  });
});

describe('clocks', () => {
  it('of a login that is ahead is off, and so are the times of its tokens', async () => {
    app.state.aheadSeconds = 95;
    expect(await failed()).toEqual([
      expect.stringMatching(
        /^clock: the clock of 127\.0\.0\.1:\d+ is off by more than 30 s: .* is 9\d\.\d s ahead of ours.*; the database is 0\.0 s/,
      ),
      expect.stringMatching(/^token: a fresh token is valid only in 9\d s by our clock/),
    ]);
  });

  it('are not known where a login says no time', async () => {
    app.state.withoutDate = true;
    expect(await of('clock')).toMatchObject({
      verdict: 'unknown',
      detail: expect.stringContaining('the login answers without a Date'),
    });
  });

  it('where the others agree, ours is the one that is off', () => {
    const reading = (whose: string, aheadMs: number) => ({ whose, aheadMs, giveOrTakeMs: 500 });
    const [check] = clockChecks(
      { maxSkewSeconds: 30 },
      reading('auth', 95_000),
      reading('the database', 94_000),
    );
    expect(check?.detail).toMatch(/^the clock of this worker is off/);
    const [one] = clockChecks({ maxSkewSeconds: 30 }, reading('auth', 0), reading('the database', -94_000));
    expect(one?.detail).toMatch(/^the clock of the database is off/);
    // What the network took may be all of it.
    expect(
      clockChecks(
        { maxSkewSeconds: 30 },
        { whose: 'auth', aheadMs: 40_000, giveOrTakeMs: 20_000 },
        reading('the database', 0),
      )[0]?.verdict,
    ).toBe('ok');
  });
});

describe('the login', () => {
  it.each<
    [
      string,
      { status?: number; type?: string; headers?: Record<string, string>; body: string } | 'silent',
      RegExp,
    ]
  >([
    ['is down', { status: 503, body: '{}' }, /^login: .*is in trouble: it answered 503/],
    ['is slow', 'silent', /^login: .*no answer .* within 3 s/],
    ['is a web page', { type: 'text/html', body: '<html>' }, /^login: .*a web page instead of JSON/],
    [
      'has an error inside',
      { body: '{"error":"invalid_grant"}' },
      /^login: the answer has no text at "access_token"/,
    ],
    ['has another shape', { body: '[1]' }, /^login: the answer has no text at/],
    ['is refused', { status: 403, body: '{}' }, /^login: .*\(403\)/],
    ['is not there', { status: 404, body: '' }, /^login: .*\(404\)/],
    [
      'is asked too often',
      { status: 429, headers: { 'retry-after': '40' }, body: '' },
      /^limits: .*left alone for 40 s/,
    ],
  ])('%s', async (_, instead, wanted) => {
    app.state.instead['/token'] = instead;
    expect((await failed()).find((text) => /^(login|limits)/.test(text))).toMatch(wanted);
  });

  it('with a password that is wrong shows none, also where the server repeats it', async () => {
    process.env['AUTH_TEST_PASSWORD'] = 'an-old-password';
    const found = await examine();
    expect(found.checks.find(({ topic }) => topic === 'login')).toMatchObject({
      verdict: 'failed',
      refused: true,
    });
    expect(JSON.stringify(found)).not.toContain('an-old-password');
  });
});

it('the application refuses a token that is well, and shows it to nobody', async () => {
  app.state.remembered = ['an-older-key'];
  const access = await of('access');
  expect(access).toMatchObject({ verdict: 'failed', refused: true });
});

it('callback URLs that are not allowed and credentials that are not set are named, and no value is', async () => {
  app.state.callbacks = ['https://app.example/auth/callback/'];
  app.state.credentials['OAUTH_CLIENT_SECRET'] = '';
  expect(await failed()).toEqual([
    'callbacks: not allowed: https://app.example/auth/callback',
    'credentials: not set: OAUTH_CLIENT_SECRET',
  ]);
});

it('what cannot be read of provider and configuration is unknown, and keys that cannot be read are wrong', async () => {
  for (const path of ['/status', '/config', '/keys'])
    app.state.instead[path] = { type: 'text/html', body: '<html>' };
  const { checks } = await examine();
  expect(
    checks.filter(({ verdict }) => verdict !== 'ok').map(({ topic, verdict }) => `${topic} ${verdict}`),
  ).toEqual(['provider unknown', 'callbacks unknown', 'credentials unknown', 'keys failed']);
  app.reset();
  app.state.indicator = 'major';
  expect(await failed()).toEqual(['provider: its status page says "major"']);
});

it('what is not configured is said', async () => {
  const { unconfigured } = await examine(({ login }) => ({ login }));
  expect(unconfigured.map((text) => /^authentication\.(\w+)/.exec(text)?.[1])).toEqual([
    'provider',
    'callbackUrls',
    'credentials',
    'access',
    'jwks',
    'clearCache',
    'redeploy',
  ]);
});

it('a change is made under the fence', async () => {
  const fence = { target: 'shop/production/application', token: 2 };
  const { mendAuthentication } = activities();
  await runActivity(mendAuthentication, { ...place, fence, remedy: 'clearCache' });
  const stale = await failureOf(
    runActivity(mendAuthentication, { ...place, fence: { ...fence, token: 1 }, remedy: 'redeploy' }),
  );
  expect([stale.type, app.changes()]).toEqual(['StaleFencingToken', ['POST /cache/clear']]);
});
