import type { z } from 'zod';
import { calendarSchema } from '../../src/activities/calendar/settings';
import {
  CALENDAR_TOKEN,
  calendarSection,
  renamedSection,
  startCalendarApp,
  type CalendarApp,
} from '../simulators/calendar';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { standIn } from '../support/stand-in';
import { configure, startDriver, titles, type Driver } from './harness';
import { startWorkerProcess } from './worker-process';

quietTemporal();
const NAME = 'recoverCalendarSync';
let driver: Driver;
let started: CalendarApp;
const app = standIn(() => started);
beforeAll(async () => {
  process.env['CALENDAR_TOKEN'] = CALENDAR_TOKEN;
  started = await startCalendarApp();
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
function use(section: z.input<typeof calendarSchema> = calendarSection(app.url)): void {
  Object.assign(service().environments['production']!, {
    calendar: calendarSchema.parse(section),
    smoke: { run: ['true'], directory: '.', environment: {}, timeoutSeconds: 10 },
  });
  service().approval = { ...service().approval, expiresAfterMinutes: 60, humanWaitHours: 24 };
}
const HOUR_AGO = () => new Date(Date.now() - 3_600_000).toISOString();
/** A calendar that has not synced for an hour, whose busy night nobody knows of. */
const fallBehind = (provider: string, more = {}) => {
  app.addEvents(provider, false);
  return app.connect(provider, { lastSyncAt: HOUR_AGO(), ...more });
};
const pages = (text: RegExp) => driver.stack.inbox.received().filter((one) => text.test(one.text));

it('has nothing to do where all are in sync and the night is taken', async () => {
  app.connect('google');
  app.addEvents('google', true);
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message:
      'calendars of booking/production are in sync: 0 of 1 connection not in sync; 1 busy window cannot be booked',
  });
  expect(app.posts()).toEqual([]);
});

it('syncs each provider once, writes back in rounds, and proves that the night is taken', async () => {
  fallBehind('google', { writebackPending: 5 });
  fallBehind('microsoft');
  const { outcome, message, report } = await driver.run(NAME);
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    '2 calendar connections of booking/production in sync; 1 busy window cannot be booked',
  ]);
  expect(app.posts()).toEqual([
    'POST /v0/calendar/google/sync',
    'POST /v0/calendar/microsoft/sync',
    ...Array<string>(3).fill('POST /v0/calendar/writeback/run'),
  ]);
  expect(app.find('google-1').writebackPending).toBe(0);
  expect(titles(report)).toEqual(
    expect.arrayContaining(['Write back, round 3 of 10', 'Health of booking/production']),
  );
  expect(JSON.stringify(report)).not.toContain(CALENDAR_TOKEN);
});

it('observe, a denied and an expired approval ask for nothing', async () => {
  fallBehind('google');
  app.connect('microsoft', { status: 'expired' });
  const before = JSON.stringify(app.state.connections);
  const observed = await driver.run(NAME, { mode: 'observe' });
  expect([
    observed.outcome,
    observed.report.plan?.actions.map(({ action, detail }) => `${action}: ${detail}`),
  ]).toEqual([
    'OBSERVED',
    [
      'sync google: at once',
      'sync microsoft: when one is connected again',
      'a task for people: reconnect: microsoft microsoft-1 (expired)',
    ],
  ]);
  expect(observed.report.plan?.warnings).toContain('times that are taken can be booked at this moment');
  const denied = await driver.start(NAME, { mode: 'propose' });
  await driver.answer(denied, 'reject', { plan: (await driver.waiting(denied, 'approval')).id, by: 'ben' });
  expect((await driver.end(denied)).outcome).toBe('REJECTED');
  service().approval.expiresAfterMinutes = 0.02;
  expect((await driver.run(NAME, { mode: 'propose' })).outcome).toBe('REJECTED');
  expect([app.posts(), JSON.stringify(app.state.connections)]).toEqual([[], before]);
});

it('what has synced by itself during the approval is left alone', async () => {
  const google = fallBehind('google');
  const handle = await driver.start(NAME, { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  google.lastSyncAt = new Date().toISOString();
  app.state.imported = [...app.state.events];
  await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');
  expect(app.posts()).toEqual([]);
});

it('an expired one is a task with its link, and is synced once it is connected again', async () => {
  const google = fallBehind('google', { status: 'expired', lastError: 'invalid_grant' });
  const handle = await driver.start(NAME);
  const { id, question } = await driver.waiting(handle, 'task');
  expect(question).toBe(
    '1 calendar connection of booking/production to be reconnected by their owners. google google-1 (expired; invalid_grant): https://app.example/connect/google?for=google-1. Each is synced when the status says that it is connected again; nobody needs to say so.',
  );
  expect(app.posts()).toEqual([]);
  google.status = 'connected';
  await driver.answer(handle, 'done', { task: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  expect(app.posts()).toEqual(['POST /v0/calendar/google/sync']);
});

it('one recovers and the owner of the other never comes: what was synced stays, and the rest is said', async () => {
  service().approval.humanWaitHours = 0.001;
  fallBehind('google');
  app.connect('microsoft', { status: 'disconnected' });
  const { outcome, message, report } = await driver.run(NAME);
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(/nobody did it in time: .*microsoft microsoft-1 \(disconnected/),
  ]);
  expect(report.timeline.find(({ title }) => title === 'Busy times are taken meanwhile')?.detail).toBe(
    '1 busy window cannot be booked',
  );
  expect(app.posts()).toEqual(['POST /v0/calendar/google/sync']);
});

it('one recovers and the provider of the other answers and does nothing: people are called', async () => {
  fallBehind('google');
  app.connect('microsoft', { lastSyncAt: HOUR_AGO() });
  app.state.moods['microsoft'] = 'idle';
  const { outcome, message } = await driver.run(NAME);
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(
      /1 of 2 connections in sync \(google google-1\); not: microsoft microsoft-1: idle .*1 busy window cannot be booked/,
    ),
  ]);
  expect(pages(/microsoft microsoft-1: idle/)[0]).toMatchObject({ kind: 'page', channel: 'on-call' });
});

it('a page to log in instead of a sync is no success, and a refusal says what to correct', async () => {
  app.connect('google', { lastSyncAt: HOUR_AGO() });
  app.addEvents('google', true);
  app.state.moods['google'] = 'page';
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'PARTIAL',
    message: expect.stringContaining('google google-1: idle'),
  });
  app.state.moods['google'] = 'refused';
  // Refused before anything was done: nothing is changed.
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'FAILED',
    message: expect.stringMatching(/google google-1: credentials .*\(403\)/),
  });
});

it('a night that can still be booked after a sync is a failure', async () => {
  fallBehind('google');
  app.state.events = [];
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'PARTIAL',
    message: expect.stringMatching(/busy window "night" can be booked: .*T02:00/),
  });
});

it('a status that is no status ends the run, and nothing is asked for', async () => {
  app.connect('google', { lastSyncAt: HOUR_AGO() });
  app.state.instead = { body: '{"ok":false,"error":"database is locked"}' };
  expect(await driver.run(NAME)).toMatchObject({
    outcome: 'FAILED',
    message: expect.stringContaining('its answer has no list at "connections"; correct calendar.status.list'),
  });
  expect(app.posts()).toEqual([]);
});

it('the same application under other names', async () => {
  use(renamedSection(app.url));
  fallBehind('google', { status: 'linked' });
  expect((await driver.run(NAME)).outcome).toBe('SUCCEEDED');
  expect(app.posts()).toEqual(['POST /calendars/google/pull']);
});

// Last: the worker of this process goes.
it('a worker that is killed while a sync is under way: the next one goes on, and it syncs', async () => {
  fallBehind('google');
  app.state.loseAnswers = 1;
  const calendar = { ...calendarSection(app.url), settleSeconds: 30 };
  calendar.providers['google']!.sync.timeoutMs = 60_000;
  configure(driver, {
    'environments.production.calendar': calendar,
    'environments.production.smoke': { run: ['true'] },
  });
  await driver.stack.worker.stop();
  let worker = await startWorkerProcess(driver.stack.configFile);
  try {
    const handle = await driver.start(NAME);
    await until(async () => app.posts().length === 1);
    await worker.kill();
    worker = await startWorkerProcess(driver.stack.configFile);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    // Twice is harmless; once would be a sync of which nobody knows.
    expect(app.posts()).toEqual(Array<string>(2).fill('POST /v0/calendar/google/sync'));
  } finally {
    await worker.stop();
  }
});
