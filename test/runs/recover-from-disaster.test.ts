import { appendFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import { firing } from './alerts';
import { configure, titles, type Ended } from './harness';
import { useSampleApp } from './sample-app';
import { killDuring, startWorkerProcess } from './worker-process';

const { driver, app } = useSampleApp();
const RUNBOOK = 'recoverFromDisaster';
let customers: number;
beforeAll(async () => {
  await app.reset();
  expect((await driver.run('backUpDatabase', { mode: 'auto' })).outcome).toBe('SUCCEEDED');
  customers = await countCustomers();
});

const countCustomers = async () =>
  Number((await driver.sql<{ count: string }>('SELECT count(*) FROM customers'))[0]?.count);
const dropDatabase = () => driver.sql('DROP DATABASE booking_production WITH (FORCE)', 'postgres');
const databases = async () =>
  (await driver.sql<{ datname: string }>('SELECT datname FROM pg_database ORDER BY 1', 'postgres')).map(
    ({ datname }) => datname,
  );
const incident = () =>
  driver.stack.client.workflow.getHandle('respondToIncident/booking/disaster-production');
const recover = (input: Record<string, unknown> = {}) => driver.start(RUNBOOK, { mode: 'propose', ...input });
const approvePart = async (handle: WorkflowHandle, runbook: string) =>
  driver.agree(await driver.childOf(handle, runbook));
const said = ({ report }: Ended, title: string | RegExp) =>
  report.timeline.find((entry) =>
    typeof title === 'string' ? entry.title === title : title.test(entry.title),
  )?.detail;
/** Everything that a run without changes leaves as it is. */
const state = async () => [await databases(), driver.backups(), app.state()];
const setVariables = (variables: unknown) => {
  const production = app.service.environments['production'] as Record<string, unknown>;
  if (variables === undefined) delete production['recovery'];
  else production['recovery'] = { variables };
};

// In order: one disaster, from the first look at it to its end.
describe('everything at once', () => {
  it('is not the matter where all is well, and that is said of each part', async () => {
    const { outcome, message } = await driver.run(RUNBOOK);
    expect([outcome, message]).toEqual([
      'NOTHING_TO_DO',
      expect.stringMatching(
        /^of booking\/production nothing is known to be broken; well: the database, the application; error rate /,
      ) as string,
    ]);
  });

  it('is seen, and nothing is touched by who only observes', async () => {
    await app.deployBad();
    await driver.sql('TRUNCATE customers, audit_logs, slots, listings CASCADE');
    const before = await state();
    const emptied = await driver.run(RUNBOOK, { mode: 'observe' });
    expect(emptied.outcome).toBe('OBSERVED');
    const [, restore] = emptied.report.plan!.actions;
    expect(restore).toMatchObject({
      action: `restore from ${driver.backups()[0]!}`,
      detail: 'by restoreDatabase',
    });
    expect(await state()).toEqual(before);
    await dropDatabase();
    const gone = await driver.run(RUNBOOK, { mode: 'observe' });
    expect(gone.report.plan!.actions.map(({ action }) => action)).toEqual([
      'open an incident of P0, or add to the one that is open',
      `restore from ${driver.backups()[0]!}`,
      'roll back to the last good deployment, where it does not serve by then',
      'verify what customers need, and tell the clients',
    ]);
    expect(gone.report.plan!.warnings).toEqual(
      expect.arrayContaining([
        `${driver.backups()[0]!} has no copy off site`,
        'services of others: none is configured',
        'the environment variables: not looked at: no recovery.variables is configured',
      ]),
    );
    await expect(incident().describe()).rejects.toThrow(/not found/i);
  });

  it('is for people where there is no backup, who are called and told what is not recovered', async () => {
    const folder = join(driver.stack.directory, 'backups', 'booking', 'production');
    renameSync(folder, `${folder}-away`);
    try {
      const { outcome, message, report } = await driver.run(RUNBOOK);
      expect([outcome, message]).toEqual([
        'NEEDS_HUMAN',
        expect.stringMatching(
          /booking\/production is not recovered\. not recovered: the database: there is no database booking_production; there is no complete backup, on no disk of a worker and not off site\. Ask the provider.*; the application: not tried/,
        ) as string,
      ]);
      expect(report.plan!.actions).toContainEqual(
        expect.objectContaining({ action: 'call people: there is no backup to restore from' }),
      );
      expect(await databases()).not.toContain('booking_production');
      const { incident: opened } = await driver.until(incident(), (status) => status.incident !== undefined);
      expect(opened).toMatchObject({ title: 'Disaster of booking/production' });
      expect(JSON.stringify(opened)).toContain('there is no database booking_production');
    } finally {
      renameSync(`${folder}-away`, folder);
    }
  });

  it('stays as it is where the restore is denied, and where nobody answers, and that is said', async () => {
    const handle = await recover();
    const child = await driver.childOf(handle, 'restoreDatabase');
    const { id } = await driver.waiting(child, 'approval');
    await driver.answer(child, 'reject', { plan: id, by: 'ben', note: 'the provider has a snapshot' });
    const denied = await driver.end(handle);
    expect([denied.outcome, denied.message]).toEqual([
      'REJECTED',
      expect.stringMatching(
        /not recovered: the database: \S+restoreDatabase-1 ended as REJECTED: ben .*the provider has a snapshot; the application: not tried/,
      ) as string,
    ]);
    app.service.approval.expiresAfterMinutes = 0.02;
    const late = await driver.run(RUNBOOK, { mode: 'propose' });
    app.service.approval.expiresAfterMinutes = 240;
    expect(late.outcome).toBe('REJECTED');
    expect(await databases()).not.toContain('booking_production');
    expect(app.front()).toBe('dep-3');
  });

  it('is recovered: the database first, then the deployment, each approved, and its time is measured', async () => {
    const startsAt = new Date(Date.now() - 600_000).toISOString();
    const handle = await recover({ alert: firing({ startsAt }) });
    expect((await approvePart(handle, 'restoreDatabase')).outcome).toBe('SUCCEEDED');
    expect((await approvePart(handle, 'rollBackDeployment')).outcome).toBe('SUCCEEDED');
    const ended = await driver.end(handle);
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(
        /^booking\/production serves again, 1\d min \d+ s after the outage began\. recovered: the database, with the data of .*; the application: 1\.4\.1 is in front again/,
      ) as string,
    ]);
    expect(await countCustomers()).toBe(customers);
    expect([app.front(), await app.rate()]).toEqual(['dep-2', 0]);
    expect(ended.report.facts['rtoSeconds']).toBeGreaterThan(600);
    expect(ended.report.facts['rpoSeconds']).toBeGreaterThanOrEqual(0);
    expect(said(ended, /^(Within|Longer than) the recovery time objective$/)).toMatch(
      /, objective 15 min 0 s$/,
    );
    expect(said(ended, 'The clients are told')).toMatch(
      /^on-call, lead: booking works again\. The outage lasted .* What was entered between .* UTC and the end of the outage may be missing/,
    );
    // It joined the incident that the first run had opened.
    expect(said(ended, 'Open an incident')).toMatch(/is open, and was told$/);
  });
});

describe('the application alone', () => {
  beforeEach(() => app.reset());
  afterEach(() => setVariables(undefined));

  it('is rolled back, and the database, which is well, is left alone', async () => {
    await app.deployBadLongAgo();
    app.service.notify = [];
    app.service.escalation = [];
    const before = await databases();
    const handle = await recover();
    await approvePart(handle, 'rollBackDeployment');
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(
      /^Tell the clients of booking\/production, whom no channel reaches: "booking works again\. .* Nothing was restored, so what was stored before is there\."$/,
    );
    await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'written to all' });
    const ended = await driver.end(handle);
    expect([ended.outcome, ended.message]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/was well and left alone: the database/) as string,
    ]);
    expect(titles(ended.report)).not.toContain(`Restore from ${driver.backups()[0]!}`);
    expect([app.front(), await databases()]).toEqual(['dep-2', before]);
  });

  it('that no rollback mends is for people', async () => {
    await app.deployBad();
    app.service.environments['production']!.application!.health.push({
      name: 'gone for good',
      url: `${app.url}/nowhere`,
      timeoutMs: 1_000,
    });
    const handle = await driver.start(RUNBOOK);
    // It helped, and not enough: the child asks a person, and keeps its lease until one has looked.
    const child = await driver.childOf(handle, 'rollBackDeployment');
    const { id } = await driver.waiting(child, 'task');
    await driver.answer(child, 'done', { task: id, by: 'ben', note: 'seen' });
    const { outcome, message } = await driver.end(handle);
    expect([outcome, message]).toEqual([
      'NEEDS_HUMAN',
      expect.stringMatching(
        /not recovered: the application: \S+rollBackDeployment-1 ended as NEEDS_HUMAN: .*it helped, but not enough/,
      ) as string,
    ]);
    app.service.environments['production']!.application!.health.pop();
  });

  it('has a person set the variables that are missing, by their names, and tells no value', async () => {
    const names = join(app.directory, 'variables');
    writeFileSync(names, 'DATABASE_URL=postgres://u:hidden-value@db/x\n');
    const list = { run: ['cat', names], directory: '.', environment: {}, timeoutSeconds: 10 };
    setVariables({ required: ['DATABASE_URL', 'STRIPE_KEY', 'MAIL_KEY'], list });
    const handle = await recover();
    const { id, question } = await driver.waiting(handle, 'task');
    expect(question).toMatch(/lacks environment variables: STRIPE_KEY, MAIL_KEY\. Set them/);
    appendFileSync(names, 'STRIPE_KEY=other-hidden-value\nMAIL_KEY\n');
    await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'set' });
    const ended = await driver.end(handle);
    expect(ended.outcome).toBe('SUCCEEDED');
    expect(ended.message).toMatch(
      /what was missing is there\. recovered: environment variables: STRIPE_KEY, MAIL_KEY/,
    );
    // It serves, so nobody is told that it is down.
    expect([ended.report.facts['rtoSeconds'], said(ended, 'The clients are told')]).toEqual([
      undefined,
      undefined,
    ]);
    const payloads = historyToJSON(await handle.fetchHistory()).matchAll(/"data": ?"([^"]+)"/g);
    const all = [...payloads].map(([, data]) => Buffer.from(data!, 'base64').toString()).join('\n');
    expect(all).toContain('STRIPE_KEY');
    expect(all).not.toContain('hidden-value');
  });
});

it('is no good news where nothing tells whether the application serves', async () => {
  await app.reset();
  const { errorRate } = app.service.environments['production']!.application!;
  const { field } = errorRate!;
  errorRate!.field = 'nothing.like.it';
  const { outcome, message } = await driver.run(RUNBOOK);
  errorRate!.field = field;
  expect([outcome, message]).toEqual([
    'FAILED',
    expect.stringMatching(
      /nothing is known to be broken; well: the database; not known: whether the application serves: /,
    ),
  ]);
});

it('goes on when the server of the database answers again, and restores nothing where all is there', async () => {
  await app.reset();
  const url = process.env['BOOKING_PRODUCTION_URL']!;
  const before = await databases();
  // Nobody listens there.
  process.env['BOOKING_PRODUCTION_URL'] = url.replace(/:\d+\//, ':1/');
  const handle = await driver.start(RUNBOOK);
  const { id, question } = await driver.waiting(handle, 'task');
  expect(question).toMatch(
    /^The database server of booking\/production cannot be worked with: .*ECONNREFUSED.*\. Start it, or put a new, empty server in its place/,
  );
  await driver.answer(handle, 'done', { task: id, by: 'ben', note: 'too early' });
  const again = await driver.until(handle, ({ waiting }) => waiting.some((one) => one.id !== id));
  expect(again.waiting[0]!.question).toMatch(/^Still not right \(.*ECONNREFUSED/);
  process.env['BOOKING_PRODUCTION_URL'] = url;
  const { outcome, message } = await driver.end(handle);
  expect([outcome, message]).toEqual([
    'SUCCEEDED',
    expect.stringMatching(/what was missing is there\. recovered: the server of the database answers again/),
  ]);
  expect(await databases()).toEqual(before);
});

// Last: the worker of this process goes.
it('goes on where its worker is killed in the middle of the restore, and restores once', async () => {
  await app.reset();
  configure(driver, { 'environments.production.application.soakSeconds': 1 });
  await driver.stack.worker.stop();
  let worker = await startWorkerProcess(driver.stack.configFile);
  try {
    await dropDatabase();
    const handle = await recover();
    const child = await driver.childOf(handle, 'restoreDatabase');
    const restored = driver.agree(child);
    worker = await killDuring(worker, driver.stack.configFile, async () =>
      (await databases()).some((name) => name.startsWith('restored_') || name.startsWith('new_')),
    );
    expect((await restored).outcome).toBe('SUCCEEDED');
    const { outcome } = await driver.end(handle);
    expect([outcome, await countCustomers()]).toEqual(['SUCCEEDED', customers]);
    expect((await databases()).filter((name) => name.startsWith('restored_'))).toEqual([]);
  } finally {
    await worker.stop();
  }
});
