import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PACKAGE_ROOT } from '../../src/config/version';
import type { ExampleStack } from '../../src/local/stack';
import { runCli } from '../cli/harness';
import { missingMonitoring, startAlertmanager, startPrometheus } from '../support/monitoring';
import { until } from '../support/postgres';
import { quietTemporal } from '../support/quiet';
import { startTestExample } from '../support/shared/stack';

quietTemporal();
const run = promisify(execFile);
const folder = join(PACKAGE_ROOT, 'examples/assistant');

let stack: ExampleStack;
let environment: Record<string, string>;
beforeAll(async () => {
  stack = await startTestExample('assistant', { intake: true });
  environment = stack.example.environment;
});
afterAll(() => stack?.stop());

const ask = (path: string, key = environment['ASSISTANT_API_KEY']!) =>
  fetch(`${environment['ASSISTANT_URL']}${path}`, { headers: { 'x-api-key': key } });
const trouble = (...args: string[]) =>
  run(process.execPath, [stack.example.trouble, ...args], {
    env: { ...process.env, ...environment, RUNBOOKS_CONFIG: stack.configFile },
  });

/** Sum of the samples of a metric whose line matches; undefined where there is none. */
async function metric(pattern: RegExp): Promise<number | undefined> {
  const text = await (await ask('/metrics')).text();
  const found = text.split('\n').filter((line) => !line.startsWith('#') && pattern.test(line));
  return found.length === 0
    ? undefined
    : found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

it('has a configuration in which nothing is wrong', async () => {
  const { code, stdout, stderr } = await runCli(['check', '--config', stack.configFile], {
    env: environment,
  });
  expect([code, code === 0 ? '' : stdout + stderr]).toEqual([0, '']);
});

it('has rules that fire when they should, and at no other time', async () => {
  if (missingMonitoring().length > 0) return;
  await run('promtool', ['test', 'rules', 'alert-rules.test.yml'], { cwd: folder });
});

it.each([
  ['/health', { status: 'ok' }],
  ['/health/lb', { status: 'ok' }],
  ['/api/health/detailed', { status: 'ok', release: '2.3.1', externals: { twilio: { ok: true } } }],
  ['/api/database/connection-limit', { poolMax: 8, poolWaiting: expect.any(Number) }],
  ['/api/performance/queries/slow', { queries: [] }],
  ['/api/performance/queries/stats', { queries: [{ name: 'free times' }] }],
  [
    '/api/performance/queries/recommendations',
    { recommendations: expect.arrayContaining([expect.objectContaining({ table: 'calls' })]) },
  ],
  ['/api/cache/stats', { ttlSeconds: 30 }],
  ['/api/rate-limit/status', { requestsPerSecond: 200, refused: 0 }],
  ['/api/backup-status', { status: 'ok', ageHours: expect.any(Number) }],
])('answers at %s', async (path, expected) => {
  const answer = await ask(path);
  expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({})]);
  expect(await (await ask(path)).json()).toMatchObject(expected);
});

it('tells operators what they ask only with the key', async () => {
  expect((await ask('/api/health/detailed', 'wrong')).status).toBe(401);
  expect((await ask('/health/lb', 'wrong')).status).toBe(200);
});

it('a backup that is missing is noticed by its rule, and made', async () => {
  if (missingMonitoring().length > 0) return;
  const { directory, intake, client } = stack;
  const credentials = environment['ASSISTANT_ALERTS_TOKEN'];
  const url = `${intake!.url}/alerts/alertmanager`;
  const alertmanager = await startAlertmanager(join(directory, 'alertmanager'), {
    route: { receiver: 'runbooks', group_wait: '1s', group_interval: '1s' },
    receivers: [
      {
        name: 'runbooks',
        webhook_configs: [{ url, http_config: { authorization: { type: 'Bearer', credentials } } }],
      },
    ],
  });
  const prometheus = await startPrometheus({
    directory: join(directory, 'prometheus'),
    scrape: { assistant: environment['ASSISTANT_URL']! },
    rules: [readFileSync(join(folder, 'alert-rules.yml'), 'utf8')],
    alertmanager: alertmanager.url,
  });
  const firing = async () => (await prometheus.query('ALERTS{alertname="AssistantBackupOld"}')).length > 0;
  try {
    await until(async () => (await prometheus.query('assistant_backup_age_seconds')).length > 0);
    expect(await firing()).toBe(false);
    await trouble('missed-backup');
    const started = await until(async () => {
      for await (const { workflowId } of client.workflow.list({ query: "WorkflowType = 'backUpDatabase'" }))
        return workflowId;
      return undefined;
    });
    expect(started).toMatch(/^backUpDatabase\/assistant\/alert-/);
    expect(await client.workflow.getHandle(started).result()).toMatchObject({ outcome: 'SUCCEEDED' });
    expect(await (await ask('/api/backup-status')).json()).toMatchObject({ status: 'ok' });
    await until(async () => !(await firing()));
  } finally {
    await prometheus.stop();
    await alertmanager.stop();
  }
});

it('a release that cannot answer is rolled back, and callers are answered again', async () => {
  await trouble('bad-deploy');
  await until(async () => {
    const { errorRate } = (await (await ask('/api/metrics/error-rate')).json()) as { errorRate: number };
    return errorRate > 0.1;
  });
  const run = await stack.client.workflow.start('resolveHighErrorRate', {
    taskQueue: stack.config.temporal.taskQueue,
    workflowId: 'resolveHighErrorRate/assistant/test',
    args: [{ service: 'assistant', startedBy: 'ana' }],
  });
  expect(await run.result()).toMatchObject({ outcome: 'SUCCEEDED' });
  expect((await ask('/health/lb')).status).toBe(200);
  expect(await (await ask('/api/health/detailed')).json()).toMatchObject({ release: '2.3.1' });
});

it.each([
  ['twilio-down', /assistant_externals_down/, 0, 'twilio-up'],
  ['tight-limit', /http_requests_total\{status="429"\}/, 0, undefined],
  ['leak', /assistant_memory_bytes/, 300_000_000, undefined],
])('%s causes its symptom', async (name, pattern, above, end) => {
  await trouble(name);
  await until(async () => ((await metric(pattern)) ?? 0) > above);
  if (end !== undefined) await trouble(end);
});

it('texts that are gone are noticed', async () => {
  expect(await metric(/assistant_bookings_without_message/)).toBe(0);
  const env = { ...process.env, DATABASE_URL: environment['ASSISTANT_DATABASE_URL'] };
  await run(process.execPath, [stack.example.trouble, 'lost-messages', '--count', '5'], { env });
  expect(await metric(/assistant_bookings_without_message/)).toBe(5);
});

it('every command of its page is there', async () => {
  const page = readFileSync(join(folder, 'README.md'), 'utf8');
  const { stderr } = await trouble('none').catch((error: { stderr: string }) => error);
  for (const [, name] of page.matchAll(/^\| `([a-z]+-[a-z]+|leak)[ `,]/gm))
    expect(stderr).toContain(`  ${name}\n`);
  for (const [, name] of page.matchAll(/\| `([a-z]+[A-Z]\w+)`/g))
    expect(stack.config.catalogue.cardOf(name!)?.name).toBe(name);
});
