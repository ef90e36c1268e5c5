import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setSwitches } from '../../examples/booking/switches';
import type { CronConfig } from '../../src/config/cron-schema';
import { firing, resolved } from './alerts';
import { configure, titles } from './harness';
import { useSampleApp } from './sample-app';
import { runThroughKill } from './worker-process';

const { driver, app } = useSampleApp();
beforeEach(async () => {
  await app.reset();
  await untilAge((age) => age < 1_500);
});

const cron = () => app.application.crons['expire-bookings'] as CronConfig;
const lastRun = async () => {
  const answer = await fetch(`${app.url}/api/health`);
  const { checks } = (await answer.json()) as { checks: { cron_expire_bookings_last_run_ts: string } };
  return checks.cron_expire_bookings_last_run_ts;
};
const untilAge = async (isRight: (ageMs: number) => boolean): Promise<void> => {
  for (let tries = 0; tries < 400; tries += 1) {
    if (isRight(Date.now() - Date.parse(await lastRun()))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the last run never got there');
};
/** Holds a slot like a customer who then walks away, an hour ago. */
const forgetHold = async () => {
  const [wanted] = await driver.sql<{ slot: string; customer: string }>(
    `SELECT (SELECT slot_id FROM slot_availability ORDER BY starts_at DESC LIMIT 1)::text AS slot,
            (SELECT max(id) FROM customers)::text AS customer`,
  );
  const answer = await fetch(`${app.url}/bookings`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': randomUUID() },
    body: JSON.stringify({ slotId: wanted!.slot, customerId: wanted!.customer, partySize: 1 }),
  });
  const { id } = (await answer.json()) as { id: string };
  await driver.sql(`UPDATE bookings SET expires_at = now() - interval '1 hour' WHERE id = '${id}'`);
  return id;
};
const statusOf = async (id: string) =>
  (await driver.sql<{ status: string }>(`SELECT status FROM bookings WHERE id = '${id}'`))[0]!.status;
/** The platform has lost its schedule, and that for so long that it shows. */
const loseSchedule = async () => {
  setSwitches(app.directory, { cronSchedule: '' });
  await untilAge((age) => age > 2_200);
};
const schedule = () =>
  (JSON.parse(readFileSync(join(app.directory, 'switches.json'), 'utf8')) as { cronSchedule: string })
    .cronSchedule;

it('a job that runs is left alone', async () => {
  expect(await driver.run('recoverCron')).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: expect.stringMatching(
      /^expire-bookings runs: last run .* ago, every 1\.0 s, 0 undone/,
    ) as string,
  });
});

describe('a job whose schedule the platform has lost', () => {
  it('is run once, does what it left undone, and runs by itself after a redeployment', async () => {
    await loseSchedule();
    const held = await forgetHold();
    const before = await lastRun();
    const { outcome, message, report } = await driver.run('recoverCron', { job: 'expire-bookings' });
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/^expire-bookings runs again: .*, 0 undone; the application was redeployed$/),
    ]);
    expect(await statusOf(held)).toBe('expired');
    expect(Date.parse(await lastRun())).toBeGreaterThan(Date.parse(before));
    expect(schedule()).toBe('*/10 * * * * *');
    expect(report.facts).toMatchObject({
      job: 'expire-bookings',
      cause: expect.stringMatching(/^expire-bookings has not run for .*, and should every 1\.0 s$/) as string,
      remedy: 'the application was redeployed',
      urgent: true,
      undoneBefore: 1,
      undoneAfter: 0,
    });
    expect(titles(report)).toEqual(
      expect.arrayContaining([
        'Urgent',
        'Run it once',
        'Redeploy',
        'Does it run by itself?',
        'Post-mortem draft',
      ]),
    );
    // The secret went along, and stayed here.
    expect(JSON.stringify(report)).not.toContain(process.env['BOOKING_CRON_SECRET']);
  });

  it('is only reported in mode observe, and that reads heal it', async () => {
    await loseSchedule();
    const held = await forgetHold();
    cron().healsLazily = true;
    delete cron().redeploy;
    const before = [await lastRun(), app.state()];
    const { outcome, report } = await driver.run('recoverCron', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions.map(({ action }) => action)).toEqual(['run once', 'a task for a person']);
    expect(report.plan?.warnings).toEqual([
      'application.crons.expire-bookings.redeploy is not configured: a lost schedule is a task for a person',
    ]);
    expect(titles(report)).toContain('Not urgent');
    expect([await lastRun(), app.state()]).toEqual(before);
    expect(await statusOf(held)).toBe('held');

    // A command that prints nothing has not said that there is none.
    const { schedule: asked } = cron();
    cron().schedule = { ...asked!, command: { ...asked!.command!, run: ['true'] } };
    const silent = await driver.run('recoverCron', { mode: 'observe' });
    expect(silent.report.plan?.warnings).toContain('the schedule of the platform cannot be read now');
  });

  it('stays as it is without an approval, and needs none when it runs again meanwhile', async () => {
    await loseSchedule();
    const denied = await driver.start('recoverCron', { mode: 'propose' });
    const { id } = await driver.waiting(denied, 'approval');
    await driver.answer(denied, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(denied)).outcome).toBe('REJECTED');
    expect(schedule()).toBe('');

    const handle = await driver.start('recoverCron', { mode: 'propose', alert: firing() });
    await driver.waiting(handle, 'approval');
    setSwitches(app.directory, { cronSchedule: '*/10 * * * * *' });
    await untilAge((age) => age < 1_000);
    await resolved(handle);
    expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');

    await loseSchedule();
    app.service.approval.expiresAfterMinutes = 0.02;
    expect((await driver.run('recoverCron', { mode: 'propose' })).outcome).toBe('REJECTED');
  });

  it('is a task for a person where nothing can be redeployed, and the run goes on by itself', async () => {
    await loseSchedule();
    delete cron().redeploy;
    delete cron().schedule;
    delete cron().expectedSchedule;
    const handle = await driver.start('recoverCron');
    const { question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(/was not started by its scheduler .* Mend it\. This run goes on by itself/);
    setSwitches(app.directory, { cronSchedule: '*/10 * * * * *' });
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.facts['remedy']]).toEqual([
      'SUCCEEDED',
      'people were asked to see to its scheduler, and it ran by itself',
    ]);
  });
});

it('a run that was begun for it and comes late is none of its scheduler', async () => {
  await loseSchedule();
  delete cron().redeploy;
  delete cron().schedule;
  delete cron().expectedSchedule;
  const lost = await lastRun();
  const handle = await driver.start('recoverCron');
  while ((await lastRun()) === lost) await new Promise((resolve) => setTimeout(resolve, 30));
  const ours = await lastRun();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await fetch(`${app.url}/api/cron/expire-bookings`, {
    method: 'POST',
    headers: { 'x-cron-secret': process.env['BOOKING_CRON_SECRET']! },
  });
  expect((await lastRun()) > ours).toBe(true);
  expect((await driver.waiting(handle, 'task')).question).toMatch(/was not started by its scheduler/);
  setSwitches(app.directory, { cronSchedule: '*/10 * * * * *' });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
});

it('a job that answers 200 and does nothing is found out, and people are called', async () => {
  setSwitches(app.directory, { expiryWorks: false });
  await untilAge((age) => age > 2_200);
  const held = await forgetHold();
  const { outcome, message, report } = await driver.run('recoverCron');
  expect([outcome, message]).toEqual([
    'PARTIAL',
    expect.stringMatching(
      /it was run \(answered 200; processed 0\), and did nothing: the last run is still that of/,
    ),
  ]);
  expect(await statusOf(held)).toBe('held');
  const told = driver.stack.inbox.received().find(({ text }) => text.includes('does not do its work'));
  expect(told).toMatchObject({ kind: 'page', channel: 'on-call' });
  expect(titles(report)).not.toContain('Redeploy');
});

it('a job that refuses its secret is run again when a person has mended that', async () => {
  await loseSchedule();
  const secret = process.env['BOOKING_CRON_SECRET'];
  process.env['BOOKING_CRON_SECRET'] = 'the secret of last year';
  const handle = await driver.start('recoverCron');
  const { id, question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(/does not accept its secret \(.*\(401\).*\)\. Compare the secret/);
  expect(question).not.toContain('last year');
  process.env['BOOKING_CRON_SECRET'] = secret;
  await driver.answer(handle, 'done', { task: id, by: 'ben' });
  expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
});

it('a job that came back while people mended its secret is not run again', async () => {
  await loseSchedule();
  const secret = process.env['BOOKING_CRON_SECRET'];
  process.env['BOOKING_CRON_SECRET'] = 'the secret of last year';
  const handle = await driver.start('recoverCron');
  const { id } = await driver.waiting(handle, 'task');
  process.env['BOOKING_CRON_SECRET'] = secret;
  // For so long that it is well for as long as the run needs to see it.
  cron().everySeconds = 600;
  setSwitches(app.directory, { cronSchedule: '*/10 * * * * *' });
  await untilAge((age) => age < 1_500);
  await driver.answer(handle, 'done', { task: id, by: 'ben' });
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual([
    'NOTHING_TO_DO',
    expect.stringMatching(/^expire-bookings runs again: /),
  ]);
});

it.each<[string, () => void, RegExp]>([
  ['lies in the future', () => (cron().lastRun = time(`now() + interval '1 hour'`)), /lies in the future/],
  ['has no zone', () => (cron().lastRun = time(`'2026-11-22 05:00:00'`)), /is no time with its zone/],
  [
    'cannot be read',
    () => (cron().lastRun.operation!.field = 'checks.other'),
    /has no "checks\.other"; correct/,
  ],
  ['of another name is asked for', () => (app.application.crons = {}), /has no jobs; add one/],
])('a last run that %s is an error, and nothing is run', async (_, change, message) => {
  const usual = app.application.crons;
  change();
  const before = app.state();
  const ended = await driver.run('recoverCron').finally(() => (app.application.crons = usual));
  expect([ended.outcome, ended.message]).toEqual(['FAILED', expect.stringMatching(message)]);
  expect(app.state()).toEqual(before);
  expect(titles(ended.report)).not.toContain('Run it once');
});
const time = (expression: string) => ({ sql: `SELECT ${expression}`, maxAgeSeconds: 300 });

// Last: the worker of this process goes.
it('a worker that is killed while the job runs: the next one runs it again, and goes on', async () => {
  const begun = join(app.directory, 'cron-begun');
  const path = 'environments.production.application.crons.expire-bookings';
  const request = `curl -fsS -X POST -H "x-cron-secret: $BOOKING_CRON_SECRET" ${app.url}/api/cron/expire-bookings`;
  configure(driver, {
    [`${path}.everySeconds`]: 1,
    [`${path}.run`]: {
      command: {
        run: [
          'sh',
          '-c',
          `echo x >> cron-begun; test $(wc -l < cron-begun) -gt 1 || exec sleep 8; ${request}`,
        ],
        environment: { BOOKING_CRON_SECRET: '${env:BOOKING_CRON_SECRET}' },
      },
    },
  });
  await driver.stack.worker.stop();
  await loseSchedule();
  const held = await forgetHold();
  expect((await runThroughKill(driver, 'recoverCron', () => existsSync(begun))).outcome).toBe('SUCCEEDED');
  expect(readFileSync(begun, 'utf8')).toBe('x\nx\n');
  expect(await statusOf(held)).toBe('expired');
});
