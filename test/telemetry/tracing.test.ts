import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { stringify } from 'yaml';
import { lazyClient } from '../../src/alerts/lazy-client';
import { bundlePacks } from '../../src/build/bundle-packs';
import { loadProject } from '../../src/check/load-project';
import { checkAll } from '../../src/check/connections';
import { PACKAGE_ROOT } from '../../src/config/version';
import { TRACED_FLAG } from '../../src/contract/trace';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { ownPacks } from '../../src/packs/own';
import { startTracing } from '../../src/telemetry/start-tracing';
import { startWorker } from '../../src/worker/worker';
import { runCli } from '../cli/harness';
import { quietTemporal } from '../support/quiet';
import { startCollector, type Collector, type Span } from './collector';

quietTemporal();

const TOKEN = 'the-token-of-the-collector';
const STATEMENT = "SELECT note FROM customers WHERE email = 'ana@example.com'";
const directory = mkdtempSync(join(tmpdir(), 'tracing-'));
let temporal: LocalTemporal;
let collector: Collector;
let code: string;
let client: Client;

beforeAll(async () => {
  [temporal, collector, { code }] = await Promise.all([
    startTemporal({ directory, ephemeral: true }),
    startCollector(`Bearer ${TOKEN}`),
    bundlePacks(ownPacks, { entry: join(directory, 'entry.cjs'), context: PACKAGE_ROOT, own: ownPacks }),
  ]);
  client = new Client({ connection: await Connection.connect({ address: temporal.address }) });
  process.env['COLLECTOR_TOKEN'] = TOKEN;
});
afterAll(async () => {
  await client?.connection.close();
  await collector?.stop();
  await temporal?.stop();
  rmSync(directory, { recursive: true, force: true });
});

const telemetryAt = (endpoint: string, token = '${env:COLLECTOR_TOKEN}') => ({
  telemetry: { otlp: { endpoint, headers: { authorization: `Bearer ${token}` } } },
});

function write(name: string, more: object): string {
  const path = join(directory, name);
  const identity = { systemIdentifier: '0000000000', database: 'booking' };
  const production = { database: { url: 'postgresql://127.0.0.1:1/booking', identity } };
  const backups = { directory: 'backups' };
  const services = { booking: { environments: { production }, backups } };
  writeFileSync(path, stringify({ temporal: { address: temporal.address }, services, ...more }));
  return path;
}

/** Steps of checkBackups; the one that looks for backups fails with what a database might have said. */
const activities = {
  listBackups: async () => {
    throw ApplicationFailure.nonRetryable(`syntax error in ${STATEMENT}`, 'Unreadable');
  },
};

async function withWorker<T>(
  file: string,
  body: () => Promise<T>,
  more: Partial<WorkerOptions> = { activities },
): Promise<T> {
  const worker = await startWorker(loadProject(file), { workflowBundle: { code }, ...more });
  try {
    return await body();
  } finally {
    await worker.stop();
  }
}

const named = (spans: Span[], name: string) => spans.filter((span) => span.name === name);
const ended = (workflowId: string) =>
  client.workflow
    .getHandle(workflowId)
    .result()
    .catch(() => undefined);
const historyOf = (workflowId: string) => client.workflow.getHandle(workflowId).fetchHistory();
const replay = async (workflowId: string, isTraced: boolean) =>
  Worker.runReplayHistory(
    { workflowBundle: { code: `${isTraced ? `globalThis.${TRACED_FLAG}=true;` : ''}${code}` } },
    await historyOf(workflowId),
    workflowId,
  );

it('a run is one trace: who started it, what it did and what came of it, without a word of what anybody wrote', async () => {
  const file = write('traced.yaml', telemetryAt(collector.url));
  await withWorker(file, async () => {
    const flags = ['--service', 'booking', '--id', 'traced', '--input', '{"reason":"a word of ana"}'];
    const env = { COLLECTOR_TOKEN: TOKEN };
    const { code: status, stderr } = await runCli(['--config', file, 'start', 'checkBackups', ...flags], {
      env,
    });
    expect([status, stderr]).toEqual([0, expect.not.stringContaining('traces cannot be sent')]);
    await ended('traced');
  });
  const spans = collector.take();
  const [start, ...moreStarts] = named(spans, 'StartWorkflow:checkBackups');
  const [run, ...moreRuns] = named(spans, 'RunWorkflow:checkBackups');
  expect([moreStarts, moreRuns, start!.parentSpanId]).toEqual([[], [], '']);
  const { runId } = await client.workflow.getHandle('traced').describe();
  expect(run).toMatchObject({
    ...{ traceId: start!.traceId, parentSpanId: start!.spanId, failed: true },
    attributes: {
      'runbooks.runbook': 'checkBackups',
      'runbooks.service': 'booking',
      'runbooks.mode': 'propose',
      'runbooks.outcome': 'FAILED',
      'error.type': 'FAILED',
      ...{ temporalWorkflowId: 'traced', run_id: runId },
    },
  });
  expect(start!.attributes).toMatchObject({
    'runbooks.runbook': 'checkBackups',
    'runbooks.service': 'booking',
  });
  const steps = spans.filter((span) => span.name.startsWith('RunActivity:'));
  expect(steps.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['RunActivity:prepare', 'RunActivity:listBackups']),
  );
  for (const { traceId, parentSpanId } of steps)
    expect({ traceId, parentSpanId }).toEqual({ traceId: run!.traceId, parentSpanId: run!.spanId });
  expect(named(steps, 'RunActivity:listBackups')[0]).toMatchObject({
    failed: true,
    attributes: {
      'runbooks.runbook': 'checkBackups',
      'runbooks.service': 'booking',
      'runbooks.attempt': '1',
      'error.type': 'Unreadable',
    },
  });
  // Nothing of the polls, questions and guards around it.
  expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([run!.traceId]));
  expect(collector.refused()).toBe(0);
  for (const word of [TOKEN, 'SELECT', 'ana@example', 'a word of ana', 'syntax error', 'nobody knows'])
    expect(collector.bytes().includes(word)).toBe(false);
  await replay('traced', true);
  await replay('traced', false);
});

it('a run that nobody traced is a trace of its own, also one that began before traces were sent', async () => {
  const args = [{ service: 'booking', startedBy: 'ana' }];
  const listBackups = async () => {
    throw new Error('not yet');
  };
  const options = { workflowId: 'untraced', taskQueue: 'runbooks', args };
  const handle = await client.workflow.start('checkBackups', options);
  await withWorker(
    write('off.yaml', {}),
    async () => {
      for (let asked = false; !asked;)
        asked = ((await historyOf('untraced')).events ?? []).some(
          ({ activityTaskScheduledEventAttributes: one }) => one?.activityType?.name === 'listBackups',
        );
    },
    { activities: { listBackups } },
  );
  const { events = [] } = await historyOf('untraced');
  expect(JSON.stringify(events)).not.toContain('_tracer-data');
  await withWorker(write('traced.yaml', telemetryAt(collector.url)), () => ended('untraced'));
  const spans = collector.take();
  const [run] = named(spans, 'RunWorkflow:checkBackups');
  expect(run).toMatchObject({
    ...{ traceId: handle.firstExecutionRunId.replaceAll('-', ''), parentSpanId: '' },
    attributes: { 'runbooks.outcome': 'FAILED' },
  });
  await replay('untraced', true);
  await replay('untraced', false);
});

it('two runs at once in one worker are two traces, each with steps of its own', async () => {
  const [names, args] = [['one', 'other'], [{ service: 'booking', startedBy: 'ana' }]];
  let release = (): void => undefined;
  const both = new Promise<void>((resolve) => (release = resolve));
  let begun = 0;
  const listBackups = async () => {
    if ((begun += 1) === names.length) release();
    await both;
    throw ApplicationFailure.nonRetryable('nothing to read', 'Unreadable');
  };
  const start = async (workflowId: string) =>
    client.workflow.start('checkBackups', { workflowId, taskQueue: 'runbooks', args });
  await withWorker(
    write('traced.yaml', telemetryAt(collector.url)),
    async () => {
      await Promise.all(names.map(start));
      await Promise.all(names.map(ended));
    },
    { activities: { listBackups } },
  );
  const spans = collector.take();
  const runs = named(spans, 'RunWorkflow:checkBackups');
  expect(runs.map(({ attributes }) => attributes['temporalWorkflowId']).sort()).toEqual(names);
  for (const { traceId, spanId, attributes } of runs) {
    expect(traceId).toBe(attributes['run_id']?.replaceAll('-', ''));
    const steps = named(spans, 'RunActivity:listBackups').filter((step) => step.parentSpanId === spanId);
    expect(steps).toMatchObject([{ traceId }]);
  }
});

it('a collector that is away or refuses hinders no run and no end, and is said once', async () => {
  const file = write('away.yaml', telemetryAt('http://127.0.0.1:1'));
  const said: string[] = [];
  const error = jest.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text));
  try {
    await withWorker(file, async () => {
      const config = loadProject(file);
      const tracing = await startTracing(config, (text) => said.push(`intake: ${text}`));
      const own = lazyClient(config, tracing!.client);
      const args = [{ service: 'booking', startedBy: 'ana' }];
      const options = { workflowId: 'away', taskQueue: 'runbooks', args };
      await own.client.withDeadline(Date.now() + 60_000, () =>
        own.client.workflow.start('checkBackups', options),
      );
      await ended('away');
      await Promise.all([own.close(), tracing!.end()]);
    });
  } finally {
    error.mockRestore();
  }
  expect((await client.workflow.getHandle('away').describe()).status.name).toBe('FAILED');
  const lost = said.filter((text) => text.includes('traces cannot be sent to http://127.0.0.1:1/v1/traces'));
  expect(lost).toHaveLength(2);
  expect(lost.join()).toContain('ECONNREFUSED');
});

it('runbooks check tries the collector, and says what it answers', async () => {
  const none = async () => {
    throw new Error('no Temporal here');
  };
  const telemetry = async (more: object) =>
    (await checkAll(loadProject(write('check.yaml', more)), none)).find(({ what }) => what === 'telemetry');
  expect(await telemetry({})).toBeUndefined();
  expect(await telemetry(telemetryAt(collector.url))).toEqual({
    ...{ what: 'telemetry', state: 'ok', detail: `traces go to ${collector.url}/v1/traces` },
  });
  expect(await telemetry(telemetryAt(collector.url, 'another'))).toMatchObject({
    ...{ state: 'warning', detail: expect.stringContaining('HTTP 401') as string },
  });
  expect(await telemetry(telemetryAt(collector.url, '${env:NOBODY_SET_THIS}'))).toMatchObject({
    ...{ state: 'failed', detail: expect.stringContaining('NOBODY_SET_THIS') as string },
  });
  process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = collector.url;
  try {
    expect(await telemetry({})).toMatchObject({ detail: expect.stringContaining(collector.url) as string });
    process.env['OTEL_SDK_DISABLED'] = 'true';
    expect(await telemetry(telemetryAt(collector.url))).toBeUndefined();
  } finally {
    delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
    delete process.env['OTEL_SDK_DISABLED'];
  }
  expect(() => loadProject(write('bad.yaml', telemetryAt('collector:4318')))).toThrow(
    /telemetry\.otlp\.endpoint: .*http:\/\//,
  );
});

it('nothing of it is loaded while it is off', () => {
  const register = join(PACKAGE_ROOT, 'test/cli/register.cjs');
  const script = `require(${JSON.stringify(join(PACKAGE_ROOT, 'src/worker/worker.ts'))});
    require(${JSON.stringify(join(PACKAGE_ROOT, 'src/cli/main.ts'))});
    process.stdout.write(JSON.stringify(Object.keys(require.cache).filter((path) => /opentelemetry.(sdk|exporter)|interceptors-opentelemetry/.test(path))));`;
  const { stdout } = spawnSync(process.execPath, ['-r', register, '-e', script, 'list']);
  expect(stdout.toString()).toContain('[]');
});
