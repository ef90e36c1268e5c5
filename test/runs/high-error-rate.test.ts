import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { Client as PgClient } from 'pg';
import { parseDocument } from 'yaml';
import { deployVersion, promoteDeployment } from '../../examples/booking/deployments';
import { sampleProgram } from '../../examples/booking/files';
import { setSwitches } from '../../examples/booking/switches';
import { openIdleTransactions } from '../../examples/booking/trouble';
import type { RunReport } from '../../src/contract/report';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';
import { startSampleApp, type SampleApp } from './sample-app';
import { killDuring, startWorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
let app: SampleApp;
beforeAll(async () => {
  driver = await startDriver();
  app = await startSampleApp(driver);
});
beforeEach(() => app.reset());
afterAll(async () => {
  await app?.stop();
  await driver?.stack.stop();
});

const HOUR_MS = 3_600_000;
let alerts = 0;
const firing = (startsAt = new Date().toISOString()) => ({
  source: 'prometheus',
  fingerprint: `errors-${(alerts += 1)}`,
  startsAt,
  status: 'firing',
  severity: 'critical',
  title: 'High error rate',
  labels: {},
  annotations: {},
  link: null,
});
const resolve = (handle: WorkflowHandle) =>
  handle.signal('alert', { status: 'resolved', count: 1, at: new Date().toISOString() });

const deployBad = async (): Promise<void> => {
  deployVersion(app.directory, '1.5.0');
  await app.untilRate((rate) => rate > 0.5);
};

/** A release that is bad, but so old that nobody thinks of it. */
const badForLong = async (): Promise<void> => {
  deployVersion(app.directory, '1.5.0');
  const file = join(app.directory, 'deployments.json');
  const state = JSON.parse(readFileSync(file, 'utf8')) as { deployments: { createdAt: string }[] };
  state.deployments[0]!.createdAt = new Date(Date.now() - 10 * HOUR_MS).toISOString();
  writeFileSync(file, JSON.stringify(state));
  await app.untilRate((rate) => rate > 0.5);
};

const titles = ({ timeline }: RunReport) => timeline.map(({ title }) => title);
const childOf = async (handle: WorkflowHandle, runbook: string): Promise<WorkflowHandle> => {
  const { timeline } = await driver.until(handle, (status) =>
    status.timeline.some(
      ({ detail, status: state }) => state === 'running' && detail?.includes(`/${runbook}-`),
    ),
  );
  const id = timeline.find(({ detail }) => detail?.includes(`/${runbook}-`))!.detail as string;
  return driver.stack.client.workflow.getHandle(id);
};

describe('a bad deployment', () => {
  it('is found and rolled back, and customers are served again', async () => {
    await deployBad();
    const { outcome, message, report } = await driver.run('resolveHighErrorRate');
    expect([outcome, message]).toEqual([
      'SUCCEEDED',
      'error rate 0.00 % again; cause: the deployment of 1.5.0; remedy: roll back 1.5.0 to 1.4.1',
    ]);
    expect(app.front()).toBe('dep-2');
    expect(await app.rate()).toBe(0);
    expect(report.facts).toMatchObject({
      cause: 'the deployment of 1.5.0',
      evidence: expect.stringMatching(
        /^1\.5\.0 \(dep-3 .* was deployed .* before the errors were seen/,
      ) as string,
      remedy: expect.stringContaining('roll back 1.5.0 to 1.4.1') as string,
      errorRateAfterPercent: 0,
    });
    expect(report.facts['errorRateBand']).toBe('critical');
    expect(titles(report)).toContain('Post-mortem draft');
  });

  it('is only reported in mode observe', async () => {
    await deployBad();
    const before = app.state();
    const { outcome, report } = await driver.run('resolveHighErrorRate', { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions[0]?.action).toBe('roll back 1.5.0 to 1.4.1');
    expect(app.state()).toEqual(before);
  });

  it('stays when a person denies its rollback, who is asked once and in the rollback itself', async () => {
    await deployBad();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose', alert: firing() });
    const child = await childOf(handle, 'rollBackDeployment');
    const { id } = await driver.waiting(child, 'approval');
    expect((await driver.until(handle, () => true)).waiting).toEqual([]);
    await driver.answer(child, 'reject', { plan: id, by: 'ben', note: 'we mend it' });
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringContaining('we mend it') as string,
    });
    expect(app.front()).toBe('dep-3');
  });

  it('needs no rollback when the alert is resolved while that one waits for its approval', async () => {
    await deployBad();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose', alert: firing() });
    const child = await childOf(handle, 'rollBackDeployment');
    await driver.waiting(child, 'approval');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    // The sender knows only the run that its alert started.
    await resolve(handle);
    expect((await driver.end(child)).outcome).toBe('NOTHING_TO_DO');
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'NOTHING_TO_DO',
      message: expect.stringContaining('it went away by itself') as string,
    });
  });

  it('that came after the errors began is not suspected', async () => {
    await badForLong();
    deployVersion(app.directory, '1.5.0');
    const alert = firing(new Date(Date.now() - HOUR_MS).toISOString());
    const { report } = await driver.run('resolveHighErrorRate', { mode: 'observe', alert });
    expect(report.plan?.actions[0]?.action).toBe('ask what to do');
  });
});

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
  const recommendations = () => (JSON.parse(app.state()[1]!) as { recommendations: boolean }).recommendations;
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
    await resolve(handle);
    expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');
  });

  it('that is not the cause is switched on again, and a person chooses what to try next', async () => {
    await badForLong();
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
      'without success: switch off recommendations, restart the application',
    );
  });
});

describe('with an error rate of its own making', () => {
  let server: Server;
  beforeAll(async () => {
    // Without the feature most of the errors are gone, but not enough of them.
    server = createServer((_, response) => {
      const { recommendations } = JSON.parse(app.state()[1]!) as { recommendations: boolean };
      response.end(JSON.stringify({ errorRate: recommendations ? 0.6 : 0.1 }));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  });
  afterAll(() => new Promise((closed) => server.close(closed)));

  it('a remedy that helped, though not enough, stays, and the next one is looked for', async () => {
    setSwitches(app.directory, { recommendations: true });
    await app.untilRate((rate) => rate > 0.5);
    app.application.errorRate!.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const handle = await driver.start('resolveHighErrorRate');
    await driver.waiting(handle, 'decision');
    const { timeline } = await driver.until(handle, () => true);
    expect(timeline.map(({ title }) => title)).toContain(
      'Helped, but not enough, and stays: switch off recommendations',
    );
    await handle.cancel();
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'PARTIAL',
      message: expect.stringMatching(/^PARTIAL: cancelled; .*Switch off recommendations/) as string,
    });
    expect((JSON.parse(app.state()[1]!) as { recommendations: boolean }).recommendations).toBe(false);
  });
});

describe('errors that nothing speaks for', () => {
  it('are not mended by the choice of somebody who may not approve', async () => {
    await badForLong();
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
    await badForLong();
    const handle = await driver.start('resolveHighErrorRate', { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'decision');
    const words = { question: id, choice: 'restart the application', by: 'ben' };
    await driver.answer(handle, 'decide', words);
    await driver.until(handle, ({ timeline }) =>
      timeline.some(({ title, status }) => title === 'Restart the application' && status === 'done'),
    );
    await handle.cancel();
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'PARTIAL',
      message: expect.stringContaining('changed and not undone: the application was restarted') as string,
    });
  });

  it('are only reported in mode observe', async () => {
    await badForLong();
    const before = app.state();
    expect((await driver.run('resolveHighErrorRate', { mode: 'observe' })).outcome).toBe('OBSERVED');
    expect(app.state()).toEqual(before);
  });

  it('are left to a person who says so, and the run goes on when they are gone', async () => {
    await badForLong();
    const handle = await driver.start('resolveHighErrorRate', { alert: firing() });
    const { id } = await driver.waiting(handle, 'decision');
    await driver.answer(handle, 'decide', { question: id, choice: 'by hand', by: 'ben' });
    await driver.waiting(handle, 'task');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await resolve(handle);
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
  });

  it('end the question when they are gone before anybody has decided', async () => {
    await badForLong();
    const handle = await driver.start('resolveHighErrorRate', { alert: firing() });
    await driver.waiting(handle, 'decision');
    promoteDeployment(app.directory, 'dep-2');
    await app.untilRate((rate) => rate === 0);
    await resolve(handle);
    expect(await driver.end(handle)).toMatchObject({
      outcome: 'NOTHING_TO_DO',
      message: expect.stringContaining('before anybody decided') as string,
    });
  });

  it('end the run when nobody answers', async () => {
    await badForLong();
    app.service.approval.expiresAfterMinutes = 0.02;
    expect(await driver.run('resolveHighErrorRate')).toMatchObject({
      outcome: 'REJECTED',
      message: expect.stringContaining('nobody decided in time') as string,
    });
  });
});

describe('a service of others', () => {
  let page: Server;
  let indicator = 'none';
  beforeAll(async () => {
    page = createServer((_, response) => response.end(JSON.stringify({ status: { indicator } })));
    await new Promise<void>((listening) => page.listen(0, '127.0.0.1', listening));
  });
  afterAll(() => new Promise((closed) => page.close(closed)));
  beforeEach(() => {
    app.application.externalServices = [
      {
        name: 'twilio',
        url: `http://127.0.0.1:${(page.address() as AddressInfo).port}`,
        field: 'status.indicator',
        healthy: ['none'],
        contact: 'https://support.example.com',
        timeoutMs: 5_000,
      },
    ];
  });

  it('that is in trouble is a task with a message, and the run goes on when it is well', async () => {
    await badForLong();
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

describe('rate limits that turn customers away', () => {
  const limit = () => (JSON.parse(app.state()[1]!) as { requestsPerSecond: number }).requestsPerSecond;
  beforeEach(async () => {
    setSwitches(app.directory, { requestsPerSecond: 1 });
    await app.untilRate((rate) => rate > 0.3);
  });

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
    await handle.cancel();
    expect((await driver.end(handle)).outcome).toBe('CANCELLED');
    expect(limit()).toBe(500);
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
    expect(report.facts['cause']).toBe('the connections are exhausted');
    expect(outcome).toBe('SUCCEEDED');
  });
});

// Last: the worker of this process goes.
it('a worker that is killed while it switches a feature off: the next one does it, and goes on', async () => {
  const begun = join(app.directory, 'begun');
  const off = `${process.execPath} ${sampleProgram('switches.js')} feature recommendations off`;
  const document = parseDocument(readFileSync(driver.stack.configFile, 'utf8'));
  const application = ['services', 'booking', 'environments', 'production', 'application'];
  document.setIn([...application, 'soakSeconds'], 1);
  document.setIn(
    [...application, 'features', 0, 'disable', 'run'],
    ['sh', '-c', `echo x >> begun; test $(wc -l < begun) -gt 1 || exec sleep 20; ${off}`],
  );
  writeFileSync(driver.stack.configFile, document.toString());
  await driver.stack.worker.stop();
  setSwitches(app.directory, { recommendations: true });
  await app.untilRate((rate) => rate > 0.5);
  let worker = await startWorkerProcess(driver.stack.configFile);
  try {
    const handle = await driver.start('resolveHighErrorRate');
    worker = await killDuring(worker, driver.stack.configFile, () => existsSync(begun));
    expect((await driver.end(handle)).outcome).toBe('SUCCEEDED');
    expect(readFileSync(begun, 'utf8')).toBe('x\nx\n');
  } finally {
    await worker.stop();
  }
});
