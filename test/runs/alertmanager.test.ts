import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse, parseDocument } from 'yaml';
import { readSwitches, setSwitches } from '../../examples/booking/switches';
import { openIdleTransactions, type IdleTransactions } from '../../examples/booking/trouble';
import { startIntake, type RunningIntake } from '../../src/worker/intake';
import { PACKAGE_ROOT } from '../../src/config/version';
import {
  missingMonitoring,
  startAlertmanager,
  startPrometheus,
  type MonitoringServer,
  type Prometheus,
} from '../support/monitoring';
import { quietTemporal } from '../support/quiet';
import { startDriver, type Driver } from './harness';

quietTemporal();
const missing = missingMonitoring();
// Not console.warn: Jest keeps to itself what a file says all of whose tests are skipped.
if (missing.length > 0)
  process.stderr.write(
    `skipped: ${missing.join(' and ')} not found; apt-get install prometheus prometheus-alertmanager\n`,
  );
const testReal = missing.length > 0 ? test.skip : test;

let driver: Driver;
let intake: RunningIntake;
let alertmanager: MonitoringServer;
let prometheus: Prometheus;
let trouble: IdleTransactions | undefined;

beforeAll(async () => {
  if (missing.length > 0) return;
  driver = await startDriver();
  const { config, directory, app } = driver.stack;
  const { application } = config.services['booking']!.environments['production']!;
  // Far longer than this test may take: a run that ends before has heard that the alert is resolved.
  application!.soakSeconds = 3_600;
  application!.crons['expire-bookings']!.everySeconds = 6;
  intake = await startIntake(config, { log: () => undefined, noticeEveryMs: 200 });
  alertmanager = await startAlertmanager(join(directory, 'alertmanager'), await alertmanagerConfig());
  prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    scrape: { booking: app.url, 'runbooks-intake': intake.url },
    rules: [sampleRules(), readFileSync(join(PACKAGE_ROOT, 'deploy/prometheus/rules.yml'), 'utf8')],
    alertmanager: alertmanager.url,
  });
});
afterAll(async () => {
  await trouble?.stop();
  await prometheus?.stop();
  await alertmanager?.stop();
  await intake?.stop();
  await driver?.stack.stop();
});

/** The sample's own rules, with less patience. */
function sampleRules(): string {
  const rules = parseDocument(readFileSync(join(PACKAGE_ROOT, 'examples/booking/alert-rules.yml'), 'utf8'));
  // Still longer than the limit of an idle transaction.
  rules.setIn(['groups', 0, 'rules', 0, 'for'], '7s');
  rules.setIn(['groups', 0, 'rules', 1, 'for'], '1s');
  // Still longer than the time between two runs of the job.
  return rules.toString().replace('[5m])) > 20', '[5m])) > 12');
}

/** The example that we ship, with our addresses, less patience, and nobody to wake. */
async function alertmanagerConfig(): Promise<object> {
  const example = parse(readFileSync(join(PACKAGE_ROOT, 'deploy/alertmanager/alertmanager.yml'), 'utf8')) as {
    route: Record<string, unknown>;
    receivers: { name: string; webhook_configs?: { url: string; http_config: unknown }[] }[];
  };
  const token = join(driver.stack.directory, 'alertmanager-token');
  writeFileSync(token, process.env['BOOKING_ALERTS_TOKEN'] ?? '', { mode: 0o600 });
  Object.assign(example.route, { group_wait: '1s', group_interval: '1s' });
  const webhook = example.receivers.find(({ name }) => name === 'runbooks')!.webhook_configs![0]!;
  webhook.url = webhook.url.replace(/^http:\/\/[^/]+/, intake.url);
  webhook.http_config = { authorization: { type: 'Bearer', credentials_file: token } };
  return {
    ...example,
    receivers: example.receivers.map(({ name, webhook_configs }) =>
      name === 'runbooks' ? { name, webhook_configs } : { name },
    ),
  };
}

async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline)
      throw new Error(`${what} never came\n${prometheus.log()}\n${alertmanager.log()}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

const usage = async () =>
  (await prometheus.query('sum(booking_database_connections) / max(booking_database_connections_max)'))[0]
    ?.value;
const firing = async () => (await prometheus.query('ALERTS{alertname="BookingConnectionsHigh"}')).length > 0;
const isStale = async () => (await prometheus.query('ALERTS{alertname="BookingCronStale"}')).length > 0;
const counted = async (result: string) =>
  (
    await prometheus.query(
      `last_over_time(runbooks_alerts_total{source="alertmanager",result="${result}"}[1m])`,
    )
  )[0]?.value ?? 0;
async function runsStarted(runbook = 'relieveConnectionPool') {
  return runs(`WorkflowType = '${runbook}'`);
}
async function runs(query: string) {
  const found = [];
  for await (const info of driver.stack.client.workflow.list({ query })) found.push(info);
  return found;
}
/** A start that Temporal acknowledged too late counts as unavailable: its sender came again, to a run that was there. */
async function everyRunIsCounted(): Promise<boolean> {
  const alerted = (await runs('ExecutionStatus != "Terminated"')).filter(({ workflowId }) =>
    workflowId.includes('/alert-'),
  );
  const started = await counted('started');
  return started <= alerted.length && started + (await counted('unavailable')) >= alerted.length;
}

testReal(
  'an alert of real metrics starts a run through Alertmanager; the run mends the cause, hears that it is resolved, and ends',
  async () => {
    const { client, booking } = driver.stack;
    await until('the first scrape', usage);
    expect(await runsStarted()).toEqual([]);

    // A program that hangs: most of the connections that the application may have, forgotten in transactions.
    trouble = await openIdleTransactions({
      databaseUrl: booking.urls.production.app,
      count: 34,
      forMs: 280_000,
    });
    await until('the symptom', async () => ((await usage()) ?? 0) > 0.8 || undefined);

    const started = await until('the run', async () => (await runsStarted())[0]);
    expect(started.workflowId).toMatch(/^relieveConnectionPool\/booking\/alert-[0-9a-f]{16}$/);
    const { outcome, report } = await driver.end(client.workflow.getHandle(started.workflowId));

    expect([outcome, report.summary]).toEqual(['SUCCEEDED', expect.stringContaining('booking/production')]);
    expect(report).toMatchObject({ startedBy: 'alert:alertmanager', mode: 'auto' });
    expect(report.facts).toMatchObject({ idleSessionsEnded: 34 });
    // It did not watch for an hour: the sender said that it is over.
    expect(report.timeline.find(({ title }) => title.includes('stay there'))?.detail).toContain(
      'the alert is resolved',
    );
    await trouble.ended;
    await until('the end of the symptom', async () => ((await usage()) ?? 1) < 0.5 || undefined);
    await until('the end of the alert', async () => (await firing()) === false || undefined);
    // Connections that are used up may stop the other jobs of the application too, whose alerts start runs of their own.
    await until('the count of what was started', async () => (await everyRunIsCounted()) || undefined);
    await until('the count of what is resolved', async () => (await counted('resolved')) >= 1 || undefined);
    expect(await counted('unmatched')).toBe(0);
    expect(await counted('refused')).toBe(0);
    expect(await runsStarted()).toHaveLength(1);
  },
);

testReal('a job that has lost its schedule is noticed by its rule, and runs again', async () => {
  const { client, directory } = driver.stack;
  await until('the end of what came before', async () => (await isStale()) === false || undefined);
  for (const { workflowId } of await runsStarted('recoverCron'))
    await client.workflow.getHandle(workflowId).result();
  const before = (await runsStarted('recoverCron')).map(({ runId }) => runId);
  setSwitches(directory, { cronSchedule: '' });
  const started = await until('the run', async () =>
    (await runsStarted('recoverCron')).find(({ runId }) => !before.includes(runId)),
  );
  const { outcome, report } = await driver.end(client.workflow.getHandle(started.workflowId));
  expect([outcome, report.startedBy]).toEqual(['SUCCEEDED', 'alert:alertmanager']);
  expect(readSwitches(directory).cronSchedule).toBe('*/10 * * * * *');
  await until('the end of the alert', async () => (await isStale()) === false || undefined);
});

testReal('the shipped rules work on what the intake really exports', async () => {
  // Nobody ever backed up here, and nobody applied the schedules; both wait for their time.
  const expected = {
    RunbooksWatchdog: 'firing',
    RunbooksNoProvenBackup: 'pending',
    RunbooksNoVerifiedRestore: 'pending',
    RunbooksScheduleNotApplied: 'pending',
  };
  await until('what they should say', async () => {
    const alerts = await prometheus.query('ALERTS{alertname=~"Runbooks.+"}');
    const states = Object.fromEntries(
      alerts.map(({ labels }) => [labels['alertname'], labels['alertstate']]),
    );
    return isDeepStrictEqual(states, expected) || undefined;
  });
});
