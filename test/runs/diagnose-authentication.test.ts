import type { z } from 'zod';
import { authSchema } from '../../src/activities/auth/settings';
import {
  ADMIN_TOKEN,
  authSection,
  setAuthSecrets,
  startAuthApp,
  TEST_PASSWORD,
  type AuthApp,
} from '../simulators/auth';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { standIn } from '../support/stand-in';
import { configure, startDriver, type Driver, type Ended } from './harness';
import { startWorkerProcess } from './worker-process';

quietTemporal();
const NAME = 'diagnoseAuthentication';
const CLEAR = 'POST /cache/clear';
const REDEPLOY = 'POST /redeploy';
let driver: Driver;
let started: AuthApp;
const app = standIn(() => started);
beforeAll(async () => {
  setAuthSecrets();
  started = await startAuthApp();
  driver = await startDriver();
});
beforeEach(() => {
  app.reset();
  use();
});
afterAll(async () => {
  await driver?.stack.stop();
  await started?.stop();
});

const service = () => driver.stack.config.services['booking']!;
function use(section: z.input<typeof authSchema> = authSection(app.url)): void {
  Object.assign(service().environments['production']!, {
    authentication: authSchema.parse(section),
    smoke: { run: ['true'], directory: '.', environment: {}, timeoutSeconds: 10 },
  });
  service().approval = { ...service().approval, expiresAfterMinutes: 60, humanWaitHours: 24 };
}
const said = (text: RegExp) => driver.stack.inbox.received().filter((one) => text.test(one.text));
/** Nothing secret is in what a run tells, or in its history. */
async function keepsSecrets({ handle }: Ended): Promise<void> {
  const { events } = await handle.fetchHistory();
  // Payloads are base64 in it.
  const text = JSON.stringify(events, (_, value: unknown) =>
    typeof value === 'string' && /^[\w+/]{16,}=*$/.test(value)
      ? Buffer.from(value, 'base64').toString('utf8')
      : value,
  );
  expect(text).toContain('the test account is logged in');
  for (const secret of [TEST_PASSWORD, ADMIN_TOKEN, 'the-value-of', ...app.issued])
    expect(text).not.toContain(secret);
}

it('has nothing to do where a test login works', async () => {
  const ended = await driver.run(NAME);
  expect([ended.outcome, ended.message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(
      /^a test login of booking\/production works: provider ok: .*keys ok: key key-1 proves the signature; access ok/,
    ),
  ]);
  await keepsSecrets(ended);
});

it('observe, a denied and an expired approval change nothing', async () => {
  app.state.remembered = ['old'];
  const observed = await driver.run(NAME, { mode: 'observe' });
  expect([observed.outcome, observed.report.plan?.actions.map(({ action }) => action)]).toEqual([
    'OBSERVED',
    [
      'clear what the application remembers of logins',
      'put the configuration of the application in place again',
      'a task for people',
    ],
  ]);
  const denied = await driver.start(NAME, { mode: 'propose' });
  await driver.answer(denied, 'reject', { plan: (await driver.waiting(denied, 'approval')).id, by: 'ben' });
  expect((await driver.end(denied)).outcome).toBe('REJECTED');
  service().approval.expiresAfterMinutes = 0.02;
  expect((await driver.run(NAME, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(app.changes()).toEqual([]);
});

it('an application that remembers old keys: its cache is cleared, and a test login works', async () => {
  app.state.remembered = ['old'];
  const ended = await driver.run(NAME);
  expect([ended.outcome, ended.message]).toEqual([
    'SUCCEEDED',
    'a test login of booking/production works again; it was: access',
  ]);
  expect(app.changes()).toEqual([CLEAR]);
  expect(said(/booking: logging in is in trouble: access: /)).not.toEqual([]);
  expect(said(/booking: a test login works again/)).not.toEqual([]);
  await keepsSecrets(ended);
});

it('where that does not help, the configuration is put in place again', async () => {
  app.state.instead['/me'] = { status: 500, body: '{}' };
  app.state.redeployMends = '/me';
  expect((await driver.run(NAME)).outcome).toBe('SUCCEEDED');
  expect(app.changes()).toEqual([CLEAR, REDEPLOY]);
});

it('a signing key that is not published is a task, after what could be tried; it is well when somebody publishes it', async () => {
  app.state.signing = app.makeKey('key-2');
  const handle = await driver.start(NAME);
  const { id, question } = await driver.waiting(handle, 'task');
  expect(question).toContain(
    'keys: a fresh token is signed by key key-2, which is not published; published: key-1: publish the key that signs',
  );
  expect(app.changes()).toEqual([CLEAR, REDEPLOY]);
  app.state.published.push(app.state.signing.jwk);
  app.state.remembered = null;
  await driver.answer(handle, 'done', { task: id, by: 'ben' });
  const ended = await driver.end(handle);
  expect(ended.outcome).toBe('SUCCEEDED');
  await keepsSecrets(ended);
});

it('what only people can mend changes nothing by itself; who says done too early is asked again', async () => {
  app.state.callbacks = [];
  app.state.credentials['OAUTH_CLIENT_SECRET'] = '';
  const handle = await driver.start(NAME);
  const first = await driver.waiting(handle, 'task');
  expect(first.question).toBe(
    'Logging in to booking/production is in trouble. callbacks: not allowed: https://app.example/auth/callback: add them to the allowed callback URLs of the provider, exactly so. credentials: not set: OAUTH_CLIENT_SECRET: set them for the application, from where your secrets are kept, and nowhere in a message. This goes on by itself when that is well.',
  );
  app.state.callbacks = ['https://app.example/auth/callback'];
  await driver.answer(handle, 'done', { task: first.id, by: 'ben' });
  await until(async () => (await driver.waiting(handle, 'task')).id !== first.id);
  const again = await driver.waiting(handle, 'task');
  expect(again.question).toMatch(/^Still not right \(credentials: not set: OAUTH_CLIENT_SECRET\)/);
  app.state.credentials['OAUTH_CLIENT_SECRET'] = 'the-value-of-another';
  await driver.answer(handle, 'done', { task: again.id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(app.changes()).toEqual([]);
});

it('a clock that is off, a provider in trouble and too many requests are for people, and nothing is restarted', async () => {
  service().approval.humanWaitHours = 0.0005;
  app.state.aheadSeconds = 95;
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'REJECTED',
    message: expect.stringMatching(/clock: the clock of 127.* is off by more than 30 s/),
  });
  app.reset();
  app.state.indicator = 'major';
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'REJECTED',
    message: expect.stringMatching(/provider: its status page says "major"/),
  });
  app.reset();
  app.state.instead['/token'] = { status: 429, headers: { 'retry-after': '40' }, body: '' };
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'REJECTED',
    message: expect.stringMatching(/limits: .*by adjustRateLimits of booking/),
  });
  expect(app.changes()).toEqual([]);
});

it('one answer that was lost on its way is no reason to restart anything', async () => {
  app.state.stumbles = 1;
  expect((await driver.run(NAME)).outcome).toBe('NOTHING_TO_DO');
  expect(app.changes()).toEqual([]);
});

it('where something else is wrong after each task, a person takes over after three', async () => {
  app.state.indicator = 'major';
  const handle = await driver.start(NAME);
  const answered: string[] = [];
  for (const isProvider of [true, false, true]) {
    await until(async () => !answered.includes((await driver.waiting(handle, 'task')).id));
    const { id } = await driver.waiting(handle, 'task');
    app.state.indicator = isProvider ? 'none' : 'major';
    app.state.callbacks = isProvider ? [] : ['https://app.example/auth/callback'];
    answered.push(id);
    await driver.answer(handle, 'done', { task: id, by: 'ben' });
  }
  expect(await driver.end(handle)).toMatchObject({
    outcome: 'NEEDS_HUMAN',
    message: expect.stringMatching(/though people were asked 3 times: callbacks: not allowed/),
  });
});

it('a change that does not help is said, and stays', async () => {
  service().approval.humanWaitHours = 0.0005;
  app.state.instead['/token'] = { status: 503, body: '{}' };
  const { outcome, message } = await driver.run(NAME);
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(/nobody did it in time: .*login: .*answered 503/),
  ]);
  expect(app.changes()).toEqual([REDEPLOY]);
});

it('an application under other names, whose tokens are opaque', async () => {
  app.state.instead['/token'] = { body: '{"session":{"key":"opaque-text-of-a-session"}}' };
  app.state.instead['/me'] = { body: '{}' };
  const { login, access } = authSection(app.url);
  use({ login: { ...login, token: 'session.key' }, access, token: 'opaque' });
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: expect.stringMatching(
      /access ok.*authentication\.provider is not configured.*tokens are opaque/,
    ),
  });
});

// Last: the worker of this process goes.
it('a worker that is killed while the cache is cleared: the next one goes on', async () => {
  app.state.remembered = ['old'];
  app.state.instead['/cache/clear'] = 'silent';
  const { clearCache, ...section } = authSection(app.url);
  const operation = { ...clearCache.operation, timeoutMs: 60_000 };
  configure(driver, {
    'environments.production.authentication': { ...section, clearCache: { operation } },
    'environments.production.smoke': { run: ['true'] },
  });
  await driver.stack.worker.stop();
  let worker = await startWorkerProcess(driver.stack.configFile);
  try {
    const handle = await driver.start(NAME);
    await until(async () => app.changes().length === 1);
    await worker.kill();
    delete app.state.instead['/cache/clear'];
    worker = await startWorkerProcess(driver.stack.configFile);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    expect(app.changes()).toEqual([CLEAR, CLEAR]);
  } finally {
    await worker.stop();
  }
});
