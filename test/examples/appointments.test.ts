import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { parseDocument } from 'yaml';
import type { RunningAppointments } from '../../examples/appointments/example';
import { troubles } from '../../examples/appointments/trouble';
import { checkAll } from '../../src/check/connections';
import { withTemporal } from '../../src/cli/connect';
import { PACKAGE_ROOT } from '../../src/config/version';
import type { RunReport, RunStatus } from '../../src/contract/report';
import type { ExampleStack } from '../../src/local/stack';
import { missingMonitoring } from '../support/monitoring';
import { quietTemporal } from '../support/quiet';
import { startTestExample } from '../support/shared/stack';
import { startAlerting, type Alerting } from './alerting';
import { clientOf, type Slot } from './appointments-client';
import { eventually, query } from './support';

quietTemporal();
const folder = join(PACKAGE_ROOT, 'examples/appointments');
const missing = missingMonitoring();
const testReal = missing.length > 0 ? test.skip : test;
if (missing.length > 0) process.stderr.write(`skipped: ${missing.join(' and ')} not found\n`);

let stack: ExampleStack<RunningAppointments>;
let alerting: Alerting;

beforeAll(async () => {
  stack = (await startTestExample('appointments', { intake: true })) as ExampleStack<RunningAppointments>;
  process.env['RUNBOOKS_CONFIG'] = stack.configFile;
  if (missing.length > 0) return;
  const { app, environment } = stack.example;
  const token = environment['APPOINTMENTS_ALERTS_TOKEN']!;
  alerting = await startAlerting(stack, { example: 'appointments', url: app.url, token });
});
afterAll(async () => {
  delete process.env['RUNBOOKS_CONFIG'];
  await alerting?.stop();
  await stack?.stop();
});

const sql = <Row extends object>(statement: string) =>
  query<Row & Record<string, unknown>>(stack.example.databaseUrl, statement);
const FAILED = `SELECT FROM webhook_deliveries WHERE status = 'pending' AND attempts > 0`;
const trouble = (name: string) => troubles[name]!.make({ count: 1, seconds: 1 });
const { ask, post, book, slotsOf, connections } = clientOf(() => stack.example);
const isLunch = ({ start }: Slot) => start.includes('T12:');
const start = (runbook: string, input: object = {}): Promise<WorkflowHandle> =>
  stack.client.workflow.start(runbook, {
    taskQueue: stack.config.temporal.taskQueue,
    workflowId: `${runbook}/appointments/test-${Math.random()}`,
    args: [{ service: 'appointments', environment: 'production', startedBy: 'ana', ...input }],
  });
const run = async (runbook: string, input: object = {}) =>
  (await (await start(runbook, input)).result()) as RunReport;
const taskOf = async (handle: WorkflowHandle) =>
  (await eventually(
    () => handle.query<RunStatus>('status').catch(() => undefined),
    (status) => status?.waiting.some(({ kind }) => kind === 'task') === true,
  ))!.waiting.find(({ kind }) => kind === 'task')!;
const alerted = async (runbook: string) => {
  for await (const { workflowId } of stack.client.workflow.list({ query: `WorkflowType = '${runbook}'` }))
    if (workflowId.includes('/alert-')) return stack.client.workflow.getHandle(workflowId);
  return undefined;
};
const firing = () => alerting.firing();

test('its configuration is complete, and check finds no error', async () => {
  const checks = await checkAll(stack.config, withTemporal);
  expect(checks.filter(({ state }) => state === 'failed')).toEqual([]);
});

test("every endpoint of its seed answers as it says, the operators' only with their token", async () => {
  expect(await ask('/health', { token: false })).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect((await ask('/v0/webhooks')).body).toEqual({ deliveries: expect.any(Array), next: null });
  expect((await post('/v0/webhooks/deliveries/run')).body).toEqual({
    processed: expect.any(Number),
    succeeded: expect.any(Number),
  });
  expect((await post('/v0/calendar/google/sync')).body).toEqual({ synced: 2, failed: 0 });
  expect((await post('/v0/calendar/microsoft/sync')).body).toEqual({ synced: 1, failed: 0 });
  expect((await post('/v0/calendar/writeback/run')).body).toEqual({ written: expect.any(Number) });
  expect((await connections()).map(({ provider, status }) => `${provider} ${status}`)).toEqual([
    'google connected',
    'microsoft connected',
    'google connected',
  ]);
  for (const path of ['/v0/webhooks', '/v0/calendar/sync/status', '/v0/emails/outbox'])
    expect([path, (await ask(path, { token: false })).status]).toEqual([path, 401]);
});

test('an appointment is made once for its key, told to everybody, and cancelled by its link once', async () => {
  const { receiver, mail, calendars } = stack.example;
  const offered = await slotsOf('2');
  expect(offered).toHaveLength(18);
  expect(offered.filter(isLunch)).toEqual([]);
  const { start } = offered[0]!;
  const wanted = { host: '2', start, name: 'Dora', email: 'dora@example.com' };
  const { status, body } = await book('key-of-dora', wanted);
  expect(status).toBe(201);
  expect((await book('key-of-dora', wanted)).body).toEqual(body);
  expect((await book('key-of-dora', { ...wanted, name: 'Emil' })).status).toBe(409);
  expect((await book('key-of-emil', { ...wanted, name: 'Emil' })).status).toBe(409);
  expect((await slotsOf('2')).map((slot) => slot.start)).not.toContain(start);
  const [delivery] = await sql<{ id: string }>(
    `SELECT id::text FROM webhook_deliveries WHERE booking_id = '${body.id}'`,
  );
  await eventually(
    async () => receiver.received().filter((one) => one.delivery === delivery!.id),
    (all) => all.length === 1 && all[0]!.status === 200,
  );
  const inCalendar = () =>
    calendars.written('microsoft', '2').filter((one) => Date.parse(one.start) === Date.parse(start));
  await eventually(
    async () => inCalendar().length,
    (count) => count === 1,
  );
  const [confirmation] = await eventually(
    async () => mail.sent().filter(({ to }) => to === 'dora@example.com'),
    (all) => all.length === 1,
  );
  expect(confirmation!.text).toContain(body.actions.cancel);
  expect((await post(body.actions.cancel)).body).toEqual({ id: body.id, status: 'cancelled' });
  expect((await post(body.actions.cancel)).status).toBe(404);
  await eventually(
    async () => inCalendar().length,
    (count) => count === 0,
  );
  await post('/v0/calendar/microsoft/sync');
  expect((await slotsOf('2')).map((slot) => slot.start)).toContain(start);
});

test('troubles of others are real: another secret, a calendar that is down, a red CI', async () => {
  for (const name of ['receiver-secret', 'calendar-down', 'red-ci']) await trouble(name);
  await eventually(
    () => post<{ status: number }>('/v0/webhooks/endpoints/1/probe'),
    ({ body }) => body.status === 401,
  );
  expect((await post('/v0/calendar/microsoft/sync')).body).toEqual({ synced: 0, failed: 1 });
  expect((await connections())[1]).toMatchObject({
    status: 'connected',
    lastError: 'HTTP 503 Backend Error',
  });
  const ci = await fetch(
    `${stack.example.environment['APPOINTMENTS_CI_URL']}/repos/acme/appointments/actions/runs?branch=main`,
  );
  expect(await ci.json()).toMatchObject({ workflow_runs: [{ conclusion: 'failure' }] });
  await trouble('well');
  await eventually(connections, (all) => all.every(({ lastError }) => lastError === null));
  // Before the rule thinks of it.
  await eventually(
    async () => {
      await post('/v0/webhooks/deliveries/run');
      return sql(FAILED);
    },
    (rows) => rows.length === 0,
  );
});

testReal(
  'receivers and jobs that stop are noticed by their rules; the alerts start the runs that end them, and nothing is overdue',
  async () => {
    for (const name of ['receiver-down', 'writeback-stopped', 'mail-down']) await trouble(name);
    const seen = new Set<string>();
    await eventually(
      async () => {
        for (const name of await firing()) seen.add(name);
        return [...seen].sort();
      },
      (names) =>
        ['WebhooksOverdue', 'CalendarBacklog', 'EmailsDelayed'].every((name) =>
          names.includes(`Appointments${name}`),
        ),
    );
    expect(
      await sql<{ error: string }>(
        "SELECT DISTINCT last_error AS error FROM webhook_deliveries WHERE status = 'pending' AND last_error IS NOT NULL",
      ),
    ).toEqual([{ error: 'HTTP 503' }]);
    const webhooks = await eventually(
      () => alerted('replayWebhookDeliveries'),
      (handle) => handle !== undefined,
    );
    const { id, question } = await taskOf(webhooks!);
    expect(question).toMatch(/hooks\.host-\d\.example\.com.*HTTP 503\): the receiver is in trouble/);
    await trouble('well');
    await webhooks!.executeUpdate('done', { args: [{ task: id, by: 'ben' }] });
    expect(await webhooks!.result()).toMatchObject({ outcome: 'SUCCEEDED', startedBy: 'alert:alertmanager' });
    // What failed while it waited is for the next one.
    expect((await run('replayWebhookDeliveries')).outcome).toMatch(/SUCCEEDED|NOTHING_TO_DO/);
    const calendars = await eventually(
      () => alerted('recoverCalendarSync'),
      (handle) => handle !== undefined,
    );
    expect(await calendars!.result()).toMatchObject({
      outcome: expect.stringMatching(/SUCCEEDED|NOTHING_TO_DO/),
    });
    // The incident of the late e-mails.
    const incident = await eventually(
      () => alerted('respondToIncident'),
      (handle) => handle !== undefined,
    );
    expect(JSON.stringify(await incident!.query<RunStatus>('status'))).toContain('e-mail');
    // It may have ended with its alert.
    await incident!.terminate('the end of this test').catch(() => undefined);
    await eventually(firing, (names) => names.length === 0);
    expect(await sql(FAILED)).toEqual([]);
    expect(
      await sql(`SELECT FROM email_outbox WHERE status = 'pending' AND created_at < now() - interval '20 s'`),
    ).toEqual([]);
  },
);

test('consent that was withdrawn: the busy hour is offered, until the owners open their links; the run goes on by itself', async () => {
  await trouble('calendar-revoked');
  await eventually(connections, (all) => all.filter(({ status }) => status === 'expired').length === 2);
  expect((await slotsOf('1')).filter(isLunch)).toHaveLength(2);
  const handle = await start('recoverCalendarSync');
  const { question } = await taskOf(handle);
  const links = question.match(/http:\S+\/v0\/calendar\/google\/connect\?for=\d+/g) ?? [];
  expect(links).toHaveLength(2);
  for (const link of links) expect((await fetch(link)).status).toBe(200);
  expect(await handle.result()).toMatchObject({
    outcome: 'SUCCEEDED',
    summary: expect.stringContaining('3 busy windows cannot be booked'),
  });
  expect((await slotsOf('1')).filter(isLunch)).toEqual([]);
});

testReal(
  'a bad release opens an incident, which rolls it back; what else is wrong is noticed too',
  async () => {
    await trouble('sync-stopped');
    await trouble('bad-deploy');
    await eventually(
      () => ask<{ version: string }>('/health'),
      ({ body }) => body.version === '1.5.0',
    );
    const { start } = (await slotsOf('3'))[0]!;
    const wanted = { host: '3', start, name: 'Fay', email: 'fay@example.com' };
    expect(await book('key-of-fay', wanted)).toMatchObject({
      status: 500,
      body: { error: 'internal error' },
    });
    await eventually(firing, (names) => names.includes('AppointmentsBookingsFail'));
    await eventually(
      () => book('key-of-fay', wanted),
      ({ status }) => status === 201,
    );
    const incident = (await alerted('respondToIncident'))!;
    const { timeline } = await incident.query<RunStatus>('status');
    expect(JSON.stringify(timeline)).toContain('rollBackDeployment');
    await eventually(firing, (names) => names.includes('AppointmentsCalendarBehind'));
    await trouble('nothing-offered');
    for (const provider of ['google', 'microsoft']) await post(`/v0/calendar/${provider}/sync`);
    await eventually(firing, (names) => names.includes('AppointmentsAvailabilityEmpty'));
    await incident.terminate('the end of this test').catch(() => undefined);
    await trouble('well');
    await eventually(
      () => slotsOf('1'),
      (slots) => slots.length > 0,
    );
  },
);

test('a backup of it is drilled: its tables are there, and an appointment can be made in the copy', async () => {
  expect((await run('backUpDatabase')).outcome).toBe('SUCCEEDED');
  const { outcome, timeline } = await run('drillRestore', { recoveryPoint: 'latest' });
  expect(outcome).toBe('SUCCEEDED');
  expect(JSON.stringify(timeline)).toMatch(/required|smoke/i);
});

testReal('each rule fires when it should, with the words that it should', () => {
  execFileSync('promtool', ['test', 'rules', 'alert-rules.test.yml'], { cwd: folder, stdio: 'pipe' });
});

test('what its README says to type exists', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  for (const [, name] of readme.matchAll(/^trouble ([a-z-]+)/gm))
    expect(Object.keys(troubles)).toContain(name);
  for (const name of Object.keys(troubles)) expect(readme).toContain(`\`${name}\``);
  const rules = parseDocument(readFileSync(join(folder, 'alert-rules.yml'), 'utf8')).toString();
  for (const [alert] of readme.matchAll(/Appointments[A-Z]\w+/g)) expect(rules).toContain(alert);
});
