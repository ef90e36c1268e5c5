import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readSwitches, setSwitches } from '../../examples/booking/switches';
import type { RunReport, RunStatus } from '../../src/contract/report';
import { startIntake } from '../../src/worker/intake';
import { configure, titles } from './harness';
import { useSampleApp } from './sample-app';
import { killDuring, startWorkerProcess } from './worker-process';

const { driver, app } = useSampleApp();
beforeEach(() => app.reset());

const OWN = '127.0.0.1';
const limits = () => app.application.rateLimits!;
const limit = () => readSwitches(app.directory).requestsPerSecond;
const exceptions = () => readSwitches(app.directory).exceptions;
/** What the program that changed the limits said, long after it has been taken back. */
const changed = ({ timeline }: RunReport) =>
  timeline.find(({ title }) => title === 'Change the rate limits')?.detail;
/** The command is over once the application has turned somebody away again, however long it takes to follow. */
const untilRefused = (run: string[]) => [
  'sh',
  '-c',
  `${run.join(' ')} && until curl -fsS ${app.url}/api/rate-limit/status | grep -q '"refusedShare":0[.][1-9]'; do sleep 0.2; done`,
];
/** The sample's own customers, who come from this machine, are refused. */
const tighten = async () => {
  setSwitches(app.directory, { requestsPerSecond: 1 });
  await app.untilRate((rate) => rate > 0.3);
};
const isHeld = ({ timeline }: RunStatus) =>
  timeline.some(({ title, status }) => title === 'Smoke test of booking/production' && status === 'done');

it('nothing is done where nobody is refused', async () => {
  expect(await driver.run('adjustRateLimits')).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: expect.stringMatching(
      /^0\.0 % of the requests are refused; refused: nobody is refused$/,
    ) as string,
  });
});

it('limits of all are raised after a person has said that these are customers, and go back by themselves', async () => {
  await tighten();
  const handle = await driver.start('adjustRateLimits', { minutes: 0.05 });
  const { id, question, choices } = await driver.waiting(handle, 'decision');
  expect(question).toMatch(
    /% of the requests are refused, with a limit of 1\. Refused: 127\.0\.0\.1 \(\d+ refused.* Are these customers/,
  );
  expect(choices).toEqual([
    'raise the limits of all',
    `exempt ${OWN}`,
    'leave them as they are',
    'it is an attack: call for help',
  ]);
  expect(limit()).toBe(1);
  await driver.answer(handle, 'decide', { question: id, choice: choices![0]!, by: 'ben' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, limit()]).toEqual(['SUCCEEDED', 500]);
  expect(changed(report)).toContain('"requestsPerSecond":5000');
  expect(report.facts).toMatchObject({ remedy: 'the rate limits are raised', refusedShareAfter: '0.0 %' });
  expect(titles(report)).toContain('Usual rate limits again');
});

it('who is trusted by configuration is exempted without a question; limits that are too tight for good are a task', async () => {
  limits().trusted = ['127.0.0.0/8'];
  const { command } = limits().exceptions['allow-list']!.unset;
  command!.run = untilRefused(command!.run);
  await tighten();
  const handle = await driver.start('adjustRateLimits', { minutes: 0.05 });
  const { question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(
    /with the usual limits .* refused, with a limit of 1, again \(127\.0\.0\.1 .*trusted\)\)\. Set limits that fit/,
  );
  expect([exceptions(), limit()]).toEqual([{}, 1]);
  setSwitches(app.directory, { requestsPerSecond: 500 });
  await app.untilRate((rate) => rate === 0);
  const { outcome, message, report } = await driver.agree(handle);
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/^allow-list for 127\.0\.0\.1 for 3\.0 s/),
  ]);
  expect(changed(report)).toContain('"127.0.0.1":{"limit":null');
});

it('who is named gets a limit of its own after a question, because an alert may name anybody', async () => {
  const input = { who: '203.0.113.9', exception: 'own-limit', minutes: 0.02 };
  const asked = await driver.start('adjustRateLimits', input);
  const { id } = await driver.waiting(asked, 'decision');
  await driver.answer(asked, 'decide', { question: id, choice: 'leave them as they are', by: 'ben' });
  expect([(await driver.end(asked)).outcome, exceptions()]).toEqual(['REJECTED', {}]);

  const handle = await driver.start('adjustRateLimits', input);
  const again = await driver.waiting(handle, 'decision');
  await driver.answer(handle, 'decide', { question: again.id, choice: 'exempt 203.0.113.9', by: 'ben' });
  const { outcome, report } = await driver.end(handle);
  expect([outcome, exceptions()]).toEqual(['SUCCEEDED', {}]);
  expect(changed(report)).toContain('"203.0.113.9":{"limit":2000');
});

it('observe, a denied and an expired approval, and the answer to leave them change nothing', async () => {
  await tighten();
  limits().store = undefined;
  const before = app.state();
  const observed = await driver.run('adjustRateLimits', { mode: 'observe' });
  expect([observed.outcome, observed.report.plan?.actions[0]?.action]).toEqual([
    'OBSERVED',
    'ask what to do',
  ]);
  expect(observed.report.plan?.warnings).toEqual([
    "application.rateLimits.store is not configured: the size of the limiter's store is not looked at",
  ]);
  const left = await driver.start('adjustRateLimits');
  const { id } = await driver.waiting(left, 'decision');
  await driver.answer(left, 'decide', { question: id, choice: 'leave them as they are', by: 'ben' });
  expect((await driver.end(left)).outcome).toBe('REJECTED');

  limits().trusted = ['127.0.0.1'];
  const denied = await driver.start('adjustRateLimits', { mode: 'propose' });
  await driver.answer(denied, 'reject', { plan: (await driver.waiting(denied, 'approval')).id, by: 'ben' });
  expect((await driver.end(denied)).outcome).toBe('REJECTED');
  app.service.approval.expiresAfterMinutes = 0.02;
  expect((await driver.run('adjustRateLimits', { mode: 'propose' })).outcome).toBe('REJECTED');
  expect(app.state()).toEqual(before);
});

it('an alert starts it, and nobody needs to decide where the alert is resolved and it is over', async () => {
  await tighten();
  const intake = await startIntake(driver.stack.config, { log: () => undefined, noticeEveryMs: 200 });
  const startsAt = new Date().toISOString();
  const send = async (status: 'firing' | 'resolved') => {
    const labels = { alertname: 'BookingCustomersRefused', severity: 'warning', service: 'booking' };
    const alert = { status, labels, annotations: {}, startsAt, fingerprint: 'b00c1e5ac0f1fe1d' };
    const answer = await fetch(`${intake.url}/alerts/alertmanager`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Bearer ${process.env['BOOKING_ALERTS_TOKEN']}`,
      },
      body: JSON.stringify({ version: '4', status, alerts: [alert] }),
    });
    return (await answer.json()) as { alerts: { route: string; workflowId: string }[] };
  };
  try {
    const [{ route, workflowId }] = (await send('firing')).alerts as [{ route: string; workflowId: string }];
    expect(route).toBe('refused-customers');
    const handle = driver.stack.client.workflow.getHandle(workflowId);
    await driver.waiting(handle, 'decision');
    setSwitches(app.directory, { requestsPerSecond: 500 });
    await app.untilRate((rate) => rate === 0);
    await send('resolved');
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.runbook, report.startedBy]).toEqual([
      'NOTHING_TO_DO',
      'adjustRateLimits',
      'alert:alertmanager',
    ]);
  } finally {
    await intake.stop();
  }
});

it('what does not help is taken back', async () => {
  await tighten();
  limits().trusted = ['127.0.0.1'];
  // It answers well, and exempts somebody else.
  const { set, unset } = limits().exceptions['allow-list']!;
  for (const { command } of [set, unset]) command!.run = ['env', 'WHO=203.0.113.1', ...command!.run];
  const { outcome, message } = await driver.run('adjustRateLimits');
  expect([outcome, message, exceptions()]).toEqual([
    'ROLLED_BACK',
    expect.stringMatching(/Fewer are refused: .*127\.0\.0\.1/),
    {},
  ]);
});

describe('while limits are wider', () => {
  const widen = async () => {
    await tighten();
    limits().trusted = ['127.0.0.1'];
    const handle = await driver.start('adjustRateLimits', { minutes: 60 });
    await driver.until(handle, isHeld);
    expect(exceptions()[OWN]?.limit).toBeNull();
    return handle;
  };

  it('a run that is cancelled has the usual ones again', async () => {
    const handle = await widen();
    await handle.cancel();
    expect([(await driver.end(handle)).outcome, exceptions()]).toEqual(['CANCELLED', {}]);
  });

  it('an application that does not bear it has the usual ones again at once', async () => {
    await tighten();
    limits().trusted = ['127.0.0.1'];
    const handle = await driver.start('adjustRateLimits', { minutes: 5 });
    await driver.until(handle, isHeld);
    app.application.health[0]!.url = `${app.url}/gone`;
    const { outcome, message } = await driver.end(handle);
    expect([outcome, message, exceptions()]).toEqual([
      'FAILED',
      expect.stringMatching(/It stays well with them: alive: /),
      {},
    ]);
  });
});

it.each<[string, Record<string, unknown>, () => void, RegExp]>([
  [
    'an exception that nobody knows',
    { exception: 'vip' },
    () => undefined,
    /has no exception "vip"; known: allow-list, own-limit/,
  ],
  ['a network', { who: '0.0.0.0/0' }, () => undefined, /one address or user/],
  ['a list that is none', {}, () => (limits().blocked!.list = 'rows'), /no list at "rows"/],
  [
    'a share that nobody tells',
    {},
    () => (app.application.rateLimitStatus!.field = 'x'),
    /does not say how many .*rateLimitStatus/,
  ],
])('%s is an error, and changes nothing', async (_, input, spoil, message) => {
  await tighten();
  spoil();
  const before = app.state();
  const ended = await driver.run('adjustRateLimits', input);
  expect([ended.outcome === 'FAILED' || ended.outcome === 'InvalidInput', ended.message]).toEqual([
    true,
    expect.stringMatching(message),
  ]);
  expect(app.state()).toEqual(before);
});

describe('limits that resolveHighErrorRate finds', () => {
  beforeEach(tighten);

  it('are raised after a person has said that these are customers, and go back by themselves', async () => {
    app.application.raiseRateLimits!.minutes = 0.05;
    const handle = await driver.start('resolveHighErrorRate');
    const { id, question } = await driver.waiting(handle, 'decision');
    expect(question).toMatch(/of the requests are refused\. Are these customers/);
    expect(limit()).toBe(1);
    await driver.answer(handle, 'decide', { question: id, choice: 'raise the limits', by: 'ben' });
    await driver.until(handle, () => limit() === 5_000);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    expect(limit()).toBe(500);
  });

  it('go back also when the run is cancelled meanwhile', async () => {
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    await driver.until(handle, ({ timeline }) =>
      timeline.some(({ title, status }) => title === 'It keeps serving' && status === 'done'),
    );
    expect(limit()).toBe(5_000);
    expect((await driver.cancel(handle)).outcome).toBe('CANCELLED');
    expect(limit()).toBe(500);
  });
});

// Last: the worker of this process goes.
it('a worker that is killed while limits change: the next one changes them, and they go back in time', async () => {
  const begun = join(app.directory, 'exempt-begun');
  const path = 'environments.production.application.rateLimits';
  const { set, unset } = limits().exceptions['allow-list']!;
  const once = 'echo x >> exempt-begun; test $(wc -l < exempt-begun) -gt 1 || exec sleep 8; exec';
  configure(driver, {
    [`${path}.trusted`]: ['127.0.0.1'],
    [`${path}.settleSeconds`]: 2,
    [`${path}.exceptions.allow-list.set.command.run`]: ['sh', '-c', `${once} ${set.command!.run.join(' ')}`],
    [`${path}.exceptions.allow-list.unset.command.run`]: untilRefused(unset.command!.run),
  });
  await driver.stack.worker.stop();
  await tighten();
  let worker = await startWorkerProcess(driver.stack.configFile);
  try {
    const handle = await driver.start('adjustRateLimits', { minutes: 0.05 });
    worker = await killDuring(worker, driver.stack.configFile, () => existsSync(begun));
    // Asks what it does from the first moment on, as whoever watches it.
    await driver.waiting(handle, 'task');
    expect([exceptions(), readFileSync(begun, 'utf8')]).toEqual([{}, 'x\nx\n']);
    setSwitches(app.directory, { requestsPerSecond: 500 });
    await app.untilRate((rate) => rate === 0);
    expect((await driver.agree(handle)).outcome).toBe('SUCCEEDED');
  } finally {
    await worker.stop();
  }
});
