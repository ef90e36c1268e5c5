import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { Client as PgClient } from 'pg';
import { incidentSchema } from '../../src/activities/incidents/settings';
import { checklistSchema, type ChecklistConfig } from '../../src/config/checklist-schema';
import type { CronConfig } from '../../src/config/cron-schema';
import type { IncidentRecord } from '../../src/contract/incident';
import { renderMarkdown } from '../../src/report/text/markdown';
import { until } from '../support/postgres';
import { ageBackups, itemsOf, namesOf, recordOf } from './checklist-world';
import { startDriver } from './harness';
import { useSampleApp } from './sample-app';
import { runThroughKill } from './worker-process';

const { driver, app } = useSampleApp(() =>
  startDriver(400, true, {}, { shared_preload_libraries: 'pg_stat_statements' }),
);
let usualHealth: typeof app.application.health;
beforeAll(async () => {
  await driver.sql('CREATE EXTENSION pg_stat_statements');
  usualHealth = structuredClone(app.application.health);
  expect((await driver.run('backUpDatabase')).outcome).toBe('SUCCEEDED');
});
beforeEach(async () => {
  await app.reset();
  app.application.health = structuredClone(usualHealth);
  // However busy the machine is: what is too slow is caused where it is wanted.
  for (const measure of Object.values(app.observe.measures))
    Object.assign(measure, measure.is === 'below' ? bands(-1) : bands(1e12));
  (app.application.crons['expire-bookings'] as CronConfig).everySeconds = 3_600;
  Object.assign(app.application.errorRate as object, { max: 0.9, warning: 0.95, critical: 0.99 });
  app.service.tuning.slowMs = 600_000;
  app.service.connections.longQuerySeconds = 600;
  Object.assign(app.service, { incident: incidentSchema.parse({}) });
  limits({ lockWaitSeconds: { warning: 600, critical: 900 } });
  rmSync(join(app.directory, 'app.log'), { force: true });
});

const bands = (limit: number) => ({ info: limit, warning: limit, critical: limit });
const limits = (given: Partial<ChecklistConfig>) => {
  app.service.environments['production']!.checklist = checklistSchema.parse(given);
};
const incident = () =>
  driver.stack.client.workflow.getHandle('respondToIncident/booking/checklist-production');
const isThere = (handle: WorkflowHandle) =>
  handle.describe().then(
    () => true,
    () => false,
  );
const incidentRecord = async () =>
  (await driver.until(incident(), (status) => status.incident?.acknowledged === undefined))
    .incident as IncidentRecord;
const session = async () => {
  const client = new PgClient({
    connectionString: driver.stack.booking.urls.production.app,
    application_name: 'reports',
  });
  await client.connect();
  return client;
};

const ALL = [
  'readiness of production',
  'smoke test of staging',
  'error rate',
  'latency-p95',
  'cache-hit-rate',
  'cpu-utilisation',
  'memory-utilisation',
  'memory-growth',
  'queue-depth',
  'job expire-bookings',
  'errors in the log',
  'booking transitions',
  'payment webhooks',
  'connections',
  'running statements',
  'slow statements',
  'lock waits',
  'deadlocks',
  'backups',
];

it('a sound service is green all over, in one report, and nobody is called', async () => {
  const before = app.state();
  const told = driver.stack.inbox.received().length;
  const ended = await driver.run('runDailyChecklist');
  expect([ended.outcome, ended.message]).toEqual(['SUCCEEDED', `${ALL.length} green`]);
  expect(recordOf(ended).items.map(({ name }) => name)).toEqual(ALL);
  expect(itemsOf(ended)['backups']!.figure).toMatch(/^newest backup .* old and whole$/);
  expect(itemsOf(ended)['backups']!.objective).toBe('younger than 26 h 0 min, whole, retention kept');
  expect(itemsOf(ended)['error rate']!.objective).toBe('at most 90.00 %');
  expect(itemsOf(ended)['queue-depth']).toMatchObject({
    // Deliveries of the sample come due as time goes by.
    figure: expect.stringMatching(/^queue-depth \d+$/) as string,
    objective: 'at most 1000000000000',
  });
  expect(ended.report.plan).toMatchObject({ actions: [], warnings: [] });
  // In the report, and on the page that Temporal shows.
  expect(renderMarkdown(ended.report)).toMatch(/\| Lock waits \| green: none; wanted: none for longer than/);
  const details = await ended.handle.query<string>('__temporal_workflow_metadata');
  expect(JSON.stringify(details)).toMatch(/- green: readiness of production, .*, deadlocks, backups/);
  expect(await isThere(incident())).toBe(false);
  expect([app.state(), driver.stack.inbox.received().length]).toEqual([before, told]);
});

it('what is not configured is a warning each, and never green', async () => {
  const { environments } = app.service;
  const { database } = environments['staging']!;
  environments['bare'] = { database, checklist: checklistSchema.parse({ smoke: 'nowhere' }) };
  const { backups } = app.service;
  delete app.service.backups;
  try {
    const ended = await driver.run('runDailyChecklist', { environment: 'bare' });
    expect([ended.outcome, namesOf(ended, 'green')]).toEqual([
      'SUCCEEDED',
      ['readiness of production', 'connections', 'running statements', 'lock waits', 'deadlocks'],
    ]);
    const missing = namesOf(ended, 'not configured');
    expect(missing).toEqual([
      'readiness of bare',
      'smoke test of nowhere',
      'error rate',
      'latency',
      'queues',
      'jobs',
      'logs',
      'slow statements',
      'backups',
    ]);
    expect(ended.report.plan?.warnings).toHaveLength(missing.length);
    expect(ended.report.plan?.warnings).toContain(
      'logs: not looked at; configure environments.bare.observe.logs',
    );
    expect(itemsOf(ended)['slow statements']!.next).toBe('CREATE EXTENSION pg_stat_statements;');
  } finally {
    delete environments['bare'];
    Object.assign(app.service, { backups });
  }
});

it('an item that hangs is cut off and hides no other', async () => {
  limits({ itemSeconds: 15, lockWaitSeconds: { warning: 600, critical: 900 } });
  Object.assign(app.observe.measures['queue-depth'] as object, { sql: 'SELECT 1 FROM pg_sleep(3600)' });
  const ended = await driver.run('runDailyChecklist');
  expect(ended.outcome).toBe('SUCCEEDED');
  expect(recordOf(ended).items.map(({ name }) => name)).toEqual(ALL);
  expect(itemsOf(ended)['queue-depth']).toMatchObject({
    color: 'yellow',
    figure: 'could not be read: no answer within 15.0 s',
    next: 'look at it by hand; then drainQueueBacklog where `queues` are configured, else retry its failed jobs or mend their cause',
  });
  expect(itemsOf(ended)['deadlocks']!.color).toBe('green');
});

describe('what is red', () => {
  let holder: PgClient;
  let waiter: PgClient;
  beforeEach(async () => {
    // A health check that nobody answers, a statement that takes seconds, a lock that is held, backups of three days ago.
    app.application.health.push({ name: 'search', url: 'http://127.0.0.1:9/health', timeoutMs: 1_000 });
    app.service.tuning.slowMs = 500;
    limits({ slowStatementSeconds: 1, lockWaitSeconds: { warning: 0.2, critical: 0.5 } });
    holder = await session();
    waiter = await session();
    await holder.query('SELECT pg_sleep(3)');
    await holder.query('BEGIN; SELECT 1 FROM bookings LIMIT 1; SELECT pg_advisory_xact_lock(77)');
    void waiter.query('SELECT pg_advisory_lock(77)').catch(() => undefined);
    await until(async () => {
      const [found] = await driver.sql<{ waits: boolean }>(
        `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'reports'
                         AND query_start < now() - interval '2 s') AS waits`,
      );
      return found!.waits;
    });
    ageBackups(driver, 3);
  });
  afterEach(async () => {
    ageBackups(driver, -3);
    await holder.query('ROLLBACK').catch(() => undefined);
    await holder.end();
    await waiter.end();
    await incident()
      .terminate()
      .catch(() => undefined);
  });
  const RED = ['readiness of production', 'slow statements', 'lock waits', 'backups'];

  it('is only told in mode observe', async () => {
    const before = app.state();
    const told = driver.stack.inbox.received().length;
    const ended = await driver.run('runDailyChecklist', { mode: 'observe' });
    expect([ended.outcome, namesOf(ended, 'red')]).toEqual(['OBSERVED', RED]);
    expect(ended.report.plan?.actions).toEqual([
      {
        action: 'open an incident, or add to the one that is open',
        target: 'booking/production',
        count: RED.length,
        detail: RED.join(', '),
      },
    ]);
    expect([await isThere(incident()), app.state(), driver.stack.inbox.received().length]).toEqual([
      false,
      before,
      told,
    ]);
  });

  it('opens one incident, to which a later checklist adds, also where people had closed it', async () => {
    const ended = await driver.run('runDailyChecklist', { mode: 'propose' });
    expect([ended.outcome, namesOf(ended, 'red')]).toEqual(['SUCCEEDED', RED]);
    expect(ended.message).toMatch(
      /^4 red \(readiness of production, .*; opened the incident respondToIncident/,
    );
    const items = itemsOf(ended);
    expect(items['readiness of production']).toMatchObject({
      figure: expect.stringMatching(/^search: /) as string,
      objective: '3 health checks hold',
      next: 'resolveHighErrorRate',
    });
    expect(items['lock waits']).toMatchObject({
      figure: expect.stringMatching(/kept waiting by reports \(\d+\) \(idle in transaction\)/) as string,
      next: 'relieveConnectionPool',
    });
    expect(items['slow statements']!.figure).toMatch(/^\d+ statements? since .* on average: /);
    expect(items['backups']!.figure).toMatch(/The newest is recent enough: .*objective 26 h 0 min/);
    const opened = await incidentRecord();
    expect(opened).toMatchObject({
      title: `Daily checklist of booking/production: ${RED.join(', ')}`,
      scope: 'booking/production',
    });
    expect(opened.impact).toContain('lock waits red: ');
    const { runId } = await incident().describe();
    expect(JSON.stringify(await incident().query('status'))).toContain(
      `opened by ${ended.handle.workflowId}`,
    );

    // The next one knows what this one has counted.
    await until(async () => {
      const closed = driver.stack.client.workflow.list({
        query: `WorkflowId = '${ended.handle.workflowId}' AND ExecutionStatus = 'Completed'`,
      });
      for await (const one of closed) return one.memo?.['report'] !== undefined;
      return false;
    });
    const again = await driver.run('runDailyChecklist', { mode: 'propose' });
    expect(again.message).toMatch(
      /; added to the incident respondToIncident\/booking\/checklist-production$/,
    );
    expect(itemsOf(again)['slow statements']!.figure).toMatch(/ since the checklist of /);
    expect(itemsOf(again)['slow statements']!.figure).not.toMatch(/pg_sleep/);
    expect((await incident().describe()).runId).toBe(runId);
    expect((await incidentRecord()).reopened).toEqual([]);
    await driver.until(incident(), ({ timeline }) =>
      timeline.some(
        ({ title, detail }) => title === 'There is more of it' && detail?.includes('lock waits red: '),
      ),
    );

    app.application.health.pop();
    const words = { by: 'ben', note: 'the backups run again' };
    await driver.answer(incident(), 'acknowledge', { by: 'ben' });
    await driver.answer(incident(), 'resolve', words);
    await driver.until(incident(), ({ incident: found }) => found?.resolved !== undefined);
    const third = await driver.run('runDailyChecklist', { mode: 'propose' });
    expect(third.message).toMatch(/; (added to|opened) the incident /);
    const { incident: after } = await driver.until(
      incident(),
      ({ incident: found }) => found?.resolved === undefined,
    );
    expect(after).toMatchObject({ reopened: [{ by: 'the alert' }] });
  });

  it('opens one incident also when the worker is killed meanwhile', async () => {
    await driver.stack.worker.stop();
    // The configuration of the file knows of none of these limits; the backups are old in any case.
    const ended = await runThroughKill(driver, 'runDailyChecklist', () => isThere(incident()));
    expect([ended.outcome, namesOf(ended, 'red')]).toEqual([
      'SUCCEEDED',
      expect.arrayContaining(['backups']),
    ]);
    const { events } = await ended.handle.fetchHistory();
    const started = (events ?? []).filter(
      (event) =>
        event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name === 'respondToIncident',
    );
    expect(started).toHaveLength(1);
    expect((await incident().describe()).status.name).toBe('RUNNING');
  });
});
