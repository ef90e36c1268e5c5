import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { Client } from 'pg';
import type { WorkflowHandle } from '@temporalio/client';
import type { IdleTransactions } from '../../examples/booking/trouble';
import { quietTemporal } from '../support/quiet';
import { until } from '../support/postgres';
import { startDriver, type Driver } from './harness';
import {
  hangCustomers,
  hangReports,
  makeTrouble,
  poolOf,
  sessionsOf,
  setPool,
  shortenLimits,
  startInbox,
} from './connections-world';
import { startWorkerProcess, type WorkerProcess } from './worker-process';

quietTemporal();
let driver: Driver;
let worker: WorkerProcess;
let inbox: { server: Server; messages: string[] };
const troubles: { stop(): Promise<void> }[] = [];
beforeAll(async () => {
  driver = await startDriver(400, false);
  const { url, ...rest } = await startInbox();
  inbox = rest;
  shortenLimits(driver, url);
  worker = await startWorkerProcess(driver.stack.configFile);
});
afterEach(async () => {
  await Promise.all(troubles.splice(0).map((trouble) => trouble.stop()));
});
afterAll(async () => {
  inbox?.server.close();
  await worker?.stop();
  await driver?.stack.stop();
});

const RUNBOOK = 'relieveConnectionPool';
const made = <T extends { stop(): Promise<void> }>(trouble: T): T => {
  troubles.push(trouble);
  return trouble;
};
const trouble = async (count: number): Promise<IdleTransactions> => made(await makeTrouble(driver, count));
const TROUBLE = 'booking-trouble';
const running = (handle: WorkflowHandle, title: RegExp) =>
  driver.until(handle, ({ timeline }) =>
    timeline.some((entry) => entry.status === 'running' && title.test(entry.title)),
  );
const titlesOf = ({ report }: { report: { timeline: { title: string }[] } }) =>
  report.timeline.map(({ title }) => title);
const crash = async (): Promise<void> => {
  await worker.kill();
  worker = await startWorkerProcess(driver.stack.configFile);
};
const alert = () => ({
  source: 'alertmanager',
  fingerprint: randomUUID(),
  startsAt: new Date().toISOString(),
  status: 'firing',
  severity: 'warning',
  title: 'Database connections are nearly used up',
  labels: { alertname: 'BookingConnectionsHigh' },
  annotations: {},
  link: null,
});

describe('observe', () => {
  it('reports who would be ended, and changes nothing', async () => {
    const { pids } = await trouble(3);
    const look = async () => ({
      sessions: await sessionsOf(driver, TROUBLE),
      schemas: await driver.sql(`SELECT nspname FROM pg_namespace ORDER BY 1`),
      written: await driver.sql(`SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS changes
                                   FROM pg_stat_user_tables WHERE schemaname = 'durable_runbooks'`),
      poolMax: (await poolOf(driver)).poolMax,
    });
    const before = await look();
    expect(before.sessions.map(({ pid }) => pid)).toEqual([...pids].sort((a, b) => a - b));
    const { outcome, report } = await driver.run(RUNBOOK, { mode: 'observe' });
    expect(outcome).toBe('OBSERVED');
    expect(report.plan?.actions).toEqual([
      expect.objectContaining({ action: 'end sessions that sit idle in a transaction', count: 3 }),
    ]);
    expect(await look()).toEqual(before);
  });
});

describe('auto', () => {
  it('finds nothing to do while nobody is over a limit', async () => {
    const { outcome, report } = await driver.run(RUNBOOK);
    expect([outcome, report.plan]).toEqual(['NOTHING_TO_DO', undefined]);
    expect(report.summary).toMatch(
      /^server \d+ of 97 .* role booking_app \d+ of 40 .* pool of the application/,
    );
  });

  it('ends forgotten transactions that use up the connections of the application, and nobody else', async () => {
    const bystander = new Client({
      connectionString: driver.stack.postgres.url.replace(/\/postgres$/, '/booking_production'),
      application_name: 'dba',
    });
    await bystander.connect();
    made({ stop: () => bystander.end() });
    await bystander.query('BEGIN; SELECT 1');
    const { pids, ended } = await trouble(34);
    const ended_ = await driver.run(RUNBOOK);
    const { outcome, report } = ended_;
    expect([outcome, report.summary]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/^the connections of booking\/production are relieved/),
    ]);
    await ended;
    expect(await sessionsOf(driver, TROUBLE)).toEqual([]);
    expect((await bystander.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    expect(report.facts).toMatchObject({ idleSessionsEnded: 34 });
    expect(report.facts['utilisationBeforePercent']).toBeGreaterThanOrEqual(85);
    expect(report.facts['utilisationAfterPercent']).toBeLessThan(80);
    // Who they were stands in the report, and stood there before anything was done.
    const titles = titlesOf(ended_);
    expect(titles.indexOf('Snapshot of the sessions')).toBeLessThan(
      titles.indexOf('End sessions that sit idle in a transaction'),
    );
    const snapshot = report.timeline.find(({ title }) => title === 'Snapshot of the sessions')?.detail ?? '';
    for (const pid of pids) expect(snapshot).toContain(`pid ${pid} `);
    expect(snapshot).toMatch(/left alone \(superuser\): pid \d+ \(dba of postgres\)/);
    // The milder remedy was enough.
    expect(titles.filter((title) => /pool to|Restart/.test(title))).toEqual([]);
  });
});

describe('a symptom that comes back while the run still watches', () => {
  it('fails the run, which ends nobody that was not in its plan', async () => {
    await trouble(2);
    const handle = await driver.start(RUNBOOK);
    await running(handle, /and stay there$/);
    const { pids } = await trouble(3);
    const { outcome, message } = await driver.end(handle);
    expect([outcome, message]).toEqual([
      'PARTIAL',
      expect.stringMatching(
        /80 % and stay there: .*; 3 transactions open and idle for too long.*; changed and not undone: sessions that sat idle in a transaction were ended$/,
      ),
    ]);
    const left = await sessionsOf(driver, TROUBLE);
    expect(left.map(({ pid }) => pid)).toEqual(pids.sort((a, b) => a - b));
  });
});

describe('propose', () => {
  it('ends nobody when it is refused', async () => {
    await trouble(2);
    const before = await sessionsOf(driver, TROUBLE);
    const handle = await driver.start(RUNBOOK, { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
    expect((await driver.end(handle)).outcome).toBe('REJECTED');
    expect(await sessionsOf(driver, TROUBLE)).toEqual(before);
  });

  it('asks again when the sessions are others by then, and ends nobody meanwhile', async () => {
    const first = await trouble(2);
    const handle = await driver.start(RUNBOOK, { mode: 'propose' });
    const { id } = await driver.waiting(handle, 'approval');
    const second = await trouble(1);
    await driver.answer(handle, 'approve', { plan: id, by: 'ben' });
    const { waiting } = await driver.until(handle, (status) =>
      status.waiting.some((one) => one.kind === 'approval' && one.id !== id),
    );
    expect((await sessionsOf(driver, TROUBLE)).map(({ pid }) => pid).sort()).toEqual(
      [...first.pids, ...second.pids].sort(),
    );
    await driver.answer(handle, 'approve', { plan: waiting[0]!.id, by: 'ben' });
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.facts['idleSessionsEnded']]).toEqual(['SUCCEEDED', 3]);
    expect(report.timeline.map(({ title }) => title)).toContain(`Approval of plan ${id} is void`);
  });

  it('has nothing to do when the alert is resolved and nobody is over a limit any longer', async () => {
    const { stop } = await trouble(2);
    const handle = await driver.start(RUNBOOK, { mode: 'propose', alert: alert() });
    await driver.waiting(handle, 'approval');
    await stop();
    await until(async () => (await sessionsOf(driver, TROUBLE)).length === 0);
    await handle.signal('alert', { status: 'resolved', count: 1, at: new Date().toISOString() });
    expect((await driver.end(handle)).outcome).toBe('NOTHING_TO_DO');
  });
});

describe('a worker that is killed', () => {
  it('between asking queries to stop and ending their sessions: those and no others are ended', async () => {
    const { stop } = made(await hangReports(driver));
    const reports = await sessionsOf(driver, 'report');
    await until(async () => {
      const [row] = await driver.sql(
        `SELECT FROM pg_stat_activity WHERE usename = 'reporting' AND state = 'active' AND query_start > now() - interval '8.5 s'`,
      );
      return row === undefined;
    });
    const handle = await driver.start(RUNBOOK);
    await driver.until(handle, ({ timeline }) =>
      timeline.some(({ title, status }) => title === 'Cancel long queries' && status === 'done'),
    );
    await crash();
    const { outcome, report } = await driver.end(handle);
    expect([outcome, report.summary]).toEqual([
      'SUCCEEDED',
      expect.stringMatching(/100 % in use before, 70 % now/),
    ]);
    expect(report.facts).toMatchObject({ queriesCancelled: 4, querySessionsEnded: 3 });
    const left = await sessionsOf(driver, 'report');
    // Only the one that listened is still there.
    expect(left.map(({ state }) => state)).toEqual(['idle']);
    expect(reports.map(({ pid }) => pid)).toContain(left[0]!.pid);
    expect(await sessionsOf(driver, 'idle')).toHaveLength(6);
    await stop();
  });

  it('while the pool is raised: it has the planned size, once, and the application was not restarted', async () => {
    await setPool(driver, 8);
    made(await hangCustomers(driver, 8));
    await until(async () => (await poolOf(driver)).poolUsed >= 8);
    const handle = await driver.start(RUNBOOK);
    await running(handle, /^Set the pool to 13$/);
    await crash();
    const ended = await driver.end(handle);
    expect([ended.outcome, ended.message]).toEqual(['SUCCEEDED', expect.anything()]);
    expect((await poolOf(driver)).poolMax).toBe(13);
    expect(titlesOf(ended)).not.toContain('Restart the application');
  });
});

describe('a pool that stays exhausted', () => {
  it('is restarted as the last resort; then its size is set back, and people are told', async () => {
    await setPool(driver, 8);
    made(await hangCustomers(driver, 30));
    await until(async () => (await poolOf(driver)).poolUsed >= 8);
    const ended = await driver.run(RUNBOOK, { alert: alert() });
    expect([ended.outcome, ended.message]).toEqual([
      'PARTIAL',
      expect.stringMatching(
        /Connections are below 80 %: .*pool of the application 13 of 13 \(100 %\).*; changed and not undone: .*the application was restarted$/,
      ),
    ]);
    expect(ended.report.instead).toBe('ROLLED_BACK');
    const titles = titlesOf(ended).filter((title) => /pool to|pool back|Restart/.test(title));
    expect(titles).toEqual(['Set the pool to 13', 'Restart the application', 'Set the pool to 8']);
    expect((await poolOf(driver)).poolMax).toBe(8);
    expect(inbox.messages.join('\n')).toMatch(/ended as PARTIAL: Connections are below 80 %/);
  });
});
