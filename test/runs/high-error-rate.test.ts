import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client as PgClient } from 'pg';
import { promoteDeployment } from '../../examples/shared/deployments';
import { sampleProgram } from '../../examples/booking/files';
import { readSwitches, setSwitches } from '../../examples/booking/switches';
import { openIdleTransactions } from '../../examples/booking/trouble';
import { serve } from '../support/local-server';
import { duringTests } from '../support/stand-in';
import { firing, resolved } from './alerts';
import { configure, details, titles } from './harness';
import { useSampleApp } from './sample-app';
import { runThroughKill } from './worker-process';

const { driver, app } = useSampleApp();
beforeEach(() => app.reset());

const recommendations = () => readSwitches(app.directory).recommendations;

it('an error rate within its objective is nothing to do', async () => {
  expect(await driver.run('resolveHighErrorRate', { alert: firing() })).toMatchObject({
    outcome: 'NOTHING_TO_DO',
    message: expect.stringMatching(/error rate 0\.00 %, objective 1\.00 %; 2 health checks hold/) as string,
  });
});

it('a service without an error rate is told what is missing', async () => {
  const { errorRate } = app.application;
  delete app.application.errorRate;
  const { outcome, message } = await driver.run('resolveHighErrorRate');
  app.application.errorRate = errorRate;
  expect([outcome, message]).toEqual(['FAILED', expect.stringContaining('set application.errorRate')]);
});

describe('a broken feature', () => {
  const breakFeature = async (): Promise<void> => {
    setSwitches(app.directory, { recommendations: true });
    // The errors may be older than the switch.
    for (let seen = false; !seen;) {
      const answer = await fetch(`${app.url}/api/health/detailed`);
      seen = 'recommendations' in ((await answer.json()) as { checks: object }).checks;
    }
    await app.untilRate((rate) => rate > 0.5);
  };

  it('is switched off', async () => {
    await breakFeature();
    const { outcome, report } = await driver.run('resolveHighErrorRate');
    expect(outcome).toBe('SUCCEEDED');
    expect(report.facts['evidence']).toMatch(/permission denied for table resources/);
    expect(details(report, 'Errors in the log')).toEqual([
      expect.stringMatching(
        /^\d+ errors?, .* x permission denied for table resources \(at .*; requests? req-/,
      ),
    ]);
    expect(details(report, 'Slow statements')).toHaveLength(1);
    expect(details(report, 'Environment variables of the application')).toHaveLength(1);
    expect(recommendations()).toBe(false);
  });

  it('stays on without an approval', async () => {
    await breakFeature();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(recommendations()).toBe(true);
  });

  it('needs no switch when the alert is resolved while the plan waits', async () => {
    await breakFeature();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose', alert: firing() });
    await driver.waiting(handle, 'approval');
    setSwitches(app.directory, { recommendations: false });
    await app.untilRate((rate) => rate === 0);
    await resolved(handle);
    expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');
  });

  it('that is not the cause is switched on again, and a person chooses what to try next', async () => {
    delete app.observe.logs;
    await app.deployBadLongAgo();
    await breakFeature();
    const handle = await driver.start('resolveHighErrorRate');
    const { id, choices, question } = await driver.waiting(handle, 'decision');
    expect(recommendations()).toBe(true);
    expect(question).toContain('tried without success: switch off recommendations');
    expect(choices).toEqual([
      'by hand',
      'roll back 1.5.0 to 1.4.1',
      'restart the application',
      'relieve the connection pool',
      'raise the rate limits',
    ]);
    setSwitches(app.directory, { recommendations: false });
    await driver.answer(handle, 'decide', { question: id, choice: 'restart the application', by: 'ben' });
    const next = await driver.until(handle, ({ waiting }) => waiting.some((one) => one.id !== id));
    expect(next.waiting[0]?.choices).not.toContain('restart the application');
    const words = { question: next.waiting[0]!.id, choice: 'roll back 1.5.0 to 1.4.1', by: 'ben' };
    await driver.answer(handle, 'decide', words);
    const { outcome, report } = await driver.end(handle);
    expect(outcome).toBe('SUCCEEDED');
    expect(app.front()).toBe('dep-2');
    expect(report.facts['remedy']).toContain(
      'before that tried without success: switch off recommendations, restart the application',
    );
    // Looked for three times, said once.
    expect(details(report, 'Errors in the log')).toEqual(['not looked at: observe.logs is not configured']);
    expect(details(report, 'Rate limits')).toHaveLength(3);
  });
});

describe('with an error rate of its own making', () => {
  // Without the feature most of the errors are gone, but not enough of them.
  const server = duringTests(() =>
    serve((_, response) => response.end(JSON.stringify({ errorRate: recommendations() ? 0.6 : 0.1 }))),
  );

  it('a remedy that helped, though not enough, stays, and the next one is looked for', async () => {
    setSwitches(app.directory, { recommendations: true });
    await app.untilRate((rate) => rate > 0.5);
    app.application.errorRate!.url = server.url;
    const handle = await driver.start('resolveHighErrorRate');
    const { question } = await driver.waiting(handle, 'decision');
    expect(question).toContain('helped, but not enough, and stays: switch off recommendations');
    expect(question).not.toContain('without success: switch off recommendations');
    const { timeline } = await driver.until(handle, () => true);
    expect(timeline.map(({ title }) => title)).toContain(
      'Helped, but not enough, and stays: switch off recommendations',
    );
    expect(await driver.cancel(handle)).toMatchObject({
      outcome: 'PARTIAL',
      message: expect.stringMatching(/^PARTIAL: cancelled; .*Switch off recommendations/) as string,
    });
    expect(recommendations()).toBe(false);
  });
});

describe('errors that nothing speaks for', () => {
  it('are not mended by the choice of somebody who may not approve', async () => {
    await app.deployBadLongAgo();
    app.service.approval.approvers = ['cleo'];
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'decision');
    const words = { question: id, choice: 'restart the application' };
    await expect(driver.answer(handle, 'decide', { ...words, by: 'ben' })).rejects.toMatchObject({
      cause: { message: 'ben is not among the approvers of booking: cleo' },
    });
    await driver.answer(handle, 'decide', { ...words, by: 'cleo' });
    const { id: plan } = await driver.waiting(handle, 'approval');
    await expect(driver.answer(handle, 'approve', { plan, by: 'ben' })).rejects.toThrow();
    await driver.answer(handle, 'reject', { plan, by: 'cleo' });
    const { outcome, report } = await driver.end(handle);
    expect(outcome).toBe('REJECTED');
    expect(titles(report)).not.toContain('Restart the application');
  });

  it('are mended at once by the choice of somebody who may', async () => {
    await app.deployBadLongAgo();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'decision');
    const words = { question: id, choice: 'restart the application', by: 'ben' };
    await driver.answer(handle, 'decide', words);
    await driver.until(handle, ({ timeline }) =>
      timeline.some(({ title, status }) => title === 'Restart the application' && status === 'done'),
    );
    expect(await driver.cancel(handle)).toMatchObject({
      outcome: 'PARTIAL',
      message: expect.stringContaining('changed and not undone: the application was restarted') as string,
    });
  });

  it('are only reported in mode observe', async () => {
    app.observe.logs!.command!.run = ['sh', '-c', 'echo "no such store" >&2; exit 3'];
    await app.deployBadLongAgo();
    const before = app.state();
    const { outcome, report } = await driver.run('resolveHighErrorRate', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(details(report, 'Errors in the log')).toEqual([expect.stringContaining('no such store')]);
    expect(app.state()).toEqual(before);
  });

  it('are left to a person who says so, and the run goes on when they are gone', async () => {
    await app.deployBadLongAgo();
    const handle = await driver.start('resolveHighErrorRate', { alert: firing() });
    const { id, question } = await driver.waiting(handle, 'decision');
    await driver.answer(handle, 'decide', { question: id, choice: 'by hand', by: 'ben' });
    const task = await driver.waiting(handle, 'task');
    for (const asked of [question, task.question])
      expect(asked).toMatch(/[.?] In the log since .* UTC: \d+ x .*\(at .*; requests? req-/);
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await resolved(handle);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  });

  it('end the question when they are gone before anybody has decided', async () => {
    await app.deployBadLongAgo();
    const handle = await driver.start('resolveHighErrorRate', { alert: firing() });
    await driver.waiting(handle, 'decision');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await resolved(handle);
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'NOTHING_TO_DO',
      message: expect.stringContaining('before anybody decided') as string,
    });
  });

  it('end the run when nobody answers', async () => {
    await app.deployBadLongAgo();
    app.service.approval.expiresAfterMinutes = 0.02;
    expect(await driver.run('resolveHighErrorRate')).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringContaining('nobody decided in time') as string,
    });
  });
});

describe('a service of others', () => {
  let indicator = 'none';
  const page = duringTests(() =>
    serve((_, response) => response.end(JSON.stringify({ status: { indicator } }))),
  );
  beforeEach(() => {
    app.application.externalServices = [
      {
        name: 'twilio',
        url: page.url,
        field: 'status.indicator',
        healthy: ['none'],
        contact: 'https://support.example.com',
        timeoutMs: 5_000,
      },
    ];
  });

  it('that is in trouble is a task with a message, and the run goes on when it is well', async () => {
    await app.deployBadLongAgo();
    indicator = 'major';
    const handle = await driver.start('resolveHighErrorRate');
    const first = await driver.waiting(handle, 'task');
    expect(first.question).toMatch(
      /^Contact twilio at https:\/\/support\.example\.com: "Since .* Your status page says "major"/,
    );
    await driver.answer(handle, 'done', { task: first.id, by: 'ben' });
    const second = await driver.until(handle, ({ waiting }) => waiting.some((one) => one.id !== first.id));
    expect(second.waiting[0]?.question).toMatch(/^Still not right \(.*twilio says "major"/);
    indicator = 'none';
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await driver.answer(handle, 'done', { task: second.waiting[0]!.id, by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'twilio is in trouble']);
  });
});

describe('connections that are exhausted', () => {
  it('are relieved by the runbook for that', async () => {
    app.service.connections.idleInTransactionSeconds = 1;
    const databaseUrl = driver.stack.booking.urls.production.app;
    const admin = new PgClient({ connectionString: driver.stack.postgres.url });
    await admin.connect();
    const open = () => openIdleTransactions({ databaseUrl, count: 60, forMs: 60_000 });
    const held = [await open()];
    for (let tries = 0; (await app.rate()) < 0.5; tries += 1) {
      if (tries > 100) throw new Error('the application never ran out of connections');
      // Whatever the application has left is taken from it.
      await admin.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'booking-app'`,
      );
      held.push(await open());
    }
    await admin.end();
    const { outcome, report } = await driver.run('resolveHighErrorRate');
    await Promise.all(held.map(({ stop }) => stop()));
    expect([outcome, report.facts['cause']]).toEqual(['SUCCEEDED', 'the connections are exhausted']);
  });
});

// Last: the worker of this process goes.
it('a worker that is killed while it switches a feature off: the next one does it, and goes on', async () => {
  const begun = join(app.directory, 'begun');
  const off = `${process.execPath} ${sampleProgram('switches.js')} feature recommendations off`;
  const path = 'environments.production.application';
  configure(driver, {
    [`${path}.soakSeconds`]: 1,
    [`${path}.features.0.disable.run`]: [
      'sh',
      '-c',
      `echo x >> begun; test $(wc -l < begun) -gt 1 || exec sleep 20; ${off}`,
    ],
  });
  await driver.stack.worker.stop();
  setSwitches(app.directory, { recommendations: true });
  await app.untilRate((rate) => rate > 0.5);
  const { outcome } = await runThroughKill(driver, 'resolveHighErrorRate', () => existsSync(begun));
  expect(outcome).toBe('SUCCEEDED');
  expect(readFileSync(begun, 'utf8')).toBe('x\nx\n');
});
