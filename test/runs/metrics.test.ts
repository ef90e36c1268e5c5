import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { request } from 'undici';
import { PACKAGE_ROOT } from '../../src/config/version';
import { collectFromTemporal, type Collector } from '../../src/metrics/collect';
import { applySchedules } from '../../src/schedules/apply';
import { diffSchedules } from '../../src/schedules/diff';
import { guardId } from '../../src/contract/guard';
import { logBriefly } from '../../src/worker/log';
import { sdkExporter } from '../../src/worker/metrics';
import { startWorker, type RunningWorker } from '../../src/worker/worker';
import { parseMetrics } from '../support/scrape';
import { startDriver, type Driver } from './harness';

let driver: Driver;
let worker: RunningWorker;
let collector: Collector;
/** Everything that Temporal knows, read again each time. */
let read: () => Promise<Map<string, number>>;

beforeAll(async () => {
  logBriefly('ERROR', await sdkExporter());
  driver = await startDriver(400, false);
  const { config, client } = driver.stack;
  config.worker.listen = '127.0.0.1:0';
  config.services['booking']!.breaker.cooldownMinutes = 0;
  worker = await startWorker(config);
  const registry = new Registry();
  collector = collectFromTemporal(client, config, registry, { freshMs: 0 });
  read = async () => parseMetrics(await registry.metrics());
});
afterAll(async () => {
  await collector?.stop();
  await worker?.stop();
  await driver?.stack.stop();
});

/** What a search finds only after a moment: it is written after the run has ended. */
async function readUntil(
  holds: (samples: Map<string, number>) => boolean | undefined,
): Promise<Map<string, number>> {
  for (let tries = 0; ; tries += 1) {
    const samples = await read();
    if (holds(samples) === true) return samples;
    if (tries > 1_800) throw new Error(`it never came: ${JSON.stringify([...samples], null, 1)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const get = async (path: string) => {
  const { statusCode, headers, body } = await request(`${worker.healthUrl}${path}`);
  return { status: statusCode, type: headers['content-type'], text: await body.text() };
};

test('a worker that runs is live and ready, and says what Temporal knows', async () => {
  expect(await get('/health/live')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
  const ready = await get('/health/ready');
  expect(ready.status).toBe(200);
  const { buildId } = worker.version;
  expect(JSON.parse(ready.text)).toEqual({ status: 'ready', buildId });
  expect((await get('/metrics')).text).toContain(
    `runbooks_worker_build_info{deployment="",build_id="${buildId}"} 1`,
  );
  const samples = await readUntil((all) => all.get('runbooks_worker_pollers') === 1);
  expect(samples.get('runbooks_temporal_up')).toBe(1);
});

test('a service that never had a backup or a restore says so, and how old it may be', async () => {
  const samples = await read();
  expect(samples.get('runbooks_last_proven_backup_timestamp_seconds{service="booking"}')).toBe(0);
  expect(samples.get('runbooks_last_proven_backup_age_seconds{service="booking"}')).toBe(Infinity);
  expect(samples.get('runbooks_last_verified_restore_timestamp_seconds{service="booking"}')).toBe(0);
  expect(samples.get('runbooks_last_verified_restore_age_seconds{service="booking"}')).toBe(Infinity);
  expect(samples.has('runbooks_drill_rto_seconds{service="booking"}')).toBe(false);
  expect(samples.get('runbooks_objective_seconds{service="booking",objective="rto"}')).toBe(900);
  expect(samples.get('runbooks_objective_seconds{service="booking",objective="backup"}')).toBe(26 * 3_600);
});

test('what is proven about staging proves nothing about production', async () => {
  await driver.run('backUpDatabase', { environment: 'staging' });
  const drill = await driver.run('drillRestore', { environment: 'staging' });
  expect(drill).toMatchObject({ outcome: 'SUCCEEDED', report: { environment: 'staging' } });
  // Their reports can be found: that they are of staging is why nothing follows.
  await until(
    async () => (await driver.stack.client.workflow.count(`RunbookOutcome = 'SUCCEEDED'`)).count === 2,
  );
  const samples = await read();
  expect(samples.get('runbooks_last_proven_backup_timestamp_seconds{service="booking"}')).toBe(0);
  expect(samples.get('runbooks_last_verified_restore_timestamp_seconds{service="booking"}')).toBe(0);
  expect(samples.has('runbooks_drill_rto_seconds{service="booking"}')).toBe(false);
});

test('a backup and a drill set the clocks back, with what the drill measured', async () => {
  const before = Date.now() / 1_000;
  await driver.run('backUpDatabase');
  const backedUp = await readUntil(
    (all) => all.get('runbooks_last_proven_backup_timestamp_seconds{service="booking"}')! > 0,
  );
  const takenAt = backedUp.get('runbooks_last_proven_backup_timestamp_seconds{service="booking"}')!;
  expect(takenAt).toBeGreaterThanOrEqual(before - 1);
  expect(takenAt).toBeLessThanOrEqual(Date.now() / 1_000);
  expect(backedUp.get('runbooks_last_verified_restore_timestamp_seconds{service="booking"}')).toBe(0);

  const { report } = await driver.run('drillRestore');
  const drilled = await readUntil(
    (all) => all.get('runbooks_last_verified_restore_timestamp_seconds{service="booking"}')! > 0,
  );
  expect(drilled.get('runbooks_drill_rto_seconds{service="booking"}')).toBe(
    report.facts['estimatedRtoSeconds'],
  );
  expect(drilled.get('runbooks_drill_rpo_seconds{service="booking"}')).toBe(report.facts['rpoSeconds']);
  const age = 'runbooks_last_verified_restore_age_seconds{service="booking"}';
  expect(drilled.get(age)).toBeLessThan(600);
  // Nothing happens, and it grows.
  await readUntil((all) => all.get(age)! > drilled.get(age)!);
});

test('a run that waits for an approval is counted with its age, until it is answered', async () => {
  const handle = await driver.start('backUpDatabase', { mode: 'propose' });
  const { id } = await driver.waiting(handle, 'approval');
  const labels = '{service="booking",kind="approval"}';
  const waiting = await readUntil((all) => all.get(`runbooks_approvals_waiting${labels}`) === 1);
  const age = waiting.get(`runbooks_approval_oldest_seconds${labels}`)!;
  expect(age).toBeGreaterThan(0);
  expect(age).toBeLessThan(120);
  expect(waiting.get('runbooks_runs_open{service="booking",runbook="backUpDatabase"}')).toBe(1);
  await driver.answer(handle, 'reject', { plan: id, by: 'ben' });
  await driver.end(handle);
  await readUntil((all) => !all.has(`runbooks_approvals_waiting${labels}`));
});

test('a schedule says whether the server has it, when it runs next, and whether somebody paused it', async () => {
  const { client, config } = driver.stack;
  const labels = '{schedule="weekly-restore-test",runbook="drillRestore",service="booking"}';
  expect((await read()).get(`runbooks_schedule_applied${labels}`)).toBe(0);
  await applySchedules(client, config, await diffSchedules(client, config));
  const applied = await readUntil((all) => all.get(`runbooks_schedule_applied${labels}`) === 1);
  expect(applied.get(`runbooks_schedule_next_start_timestamp_seconds${labels}`)).toBeGreaterThan(
    Date.now() / 1_000,
  );
  expect(applied.get(`runbooks_schedule_last_start_timestamp_seconds${labels}`)).toBe(0);
  expect(applied.get(`runbooks_schedule_overdue_seconds${labels}`)).toBe(0);
  expect(applied.get(`runbooks_schedule_paused${labels}`)).toBe(0);

  await client.schedule.getHandle('weekly-restore-test').pause('looking');
  await readUntil((all) => all.get(`runbooks_schedule_paused${labels}`) === 1);
  const backup = '{schedule="daily-backup",runbook="backUpDatabase",service="booking"';
  await client.schedule.getHandle('daily-backup').trigger();
  await readUntil((all) => all.get(`runbooks_schedule_last_outcome${backup},outcome="SUCCEEDED"}`) === 1);
});

test('the kill switch and an open breaker are seen', async () => {
  const { client, config } = driver.stack;
  const alert = {
    source: 'test',
    fingerprint: 'backups-old',
    startsAt: '2026-11-21T03:00:00Z',
    status: 'firing',
    severity: 'warning',
    title: 'backups are old',
    labels: {},
    annotations: {},
    link: null,
  };
  for (let count = 0; count < 4; count += 1)
    await driver.run('checkBackups', { alert, startedBy: 'alert:test' });
  await readUntil((all) => all.get('runbooks_breaker_open{service="booking",runbook="checkBackups"}') === 1);

  await client.workflow.signalWithStart('guard', {
    workflowId: guardId('all'),
    taskQueue: config.temporal.taskQueue,
    args: [{ target: 'all' }],
    signal: 'pause',
    signalArgs: [{ by: 'ben', reason: 'looking' }],
  });
  await readUntil((all) => all.get('runbooks_guard_paused{target="all"}') === 1);
  await client.workflow.getHandle(guardId('all')).signal('resume', { by: 'ben', reason: 'looked' });
  await readUntil((all) => all.get('runbooks_guard_paused{target="all"}') === 0);
});

test("one scrape of the worker has runs by what came of them, and the SDK's own metrics", async () => {
  const { status, type, text } = await get('/metrics');
  expect([status, type]).toEqual([200, expect.stringContaining('text/plain')]);
  const ended = (runbook: string, outcome: string) =>
    [...parseMetrics(text)].find(
      ([name]) =>
        name.startsWith('runbooks_runs_total{') &&
        name.includes(`runbook="${runbook}"`) &&
        name.includes(`outcome="${outcome}"`) &&
        name.includes('service="booking"'),
    )?.[1];
  expect(ended('backUpDatabase', 'SUCCEEDED')).toBe(3);
  expect(ended('backUpDatabase', 'REJECTED')).toBe(1);
  expect(ended('drillRestore', 'SUCCEEDED')).toBe(2);
  expect(text).toMatch(/^runbooks_run_duration_seconds_bucket\{.*le="86400"\} [1-9]/m);
  expect(text).toMatch(/^temporal_activity_execution_latency_count\{/m);
  expect(text).toMatch(/^process_resident_memory_bytes \d/m);
  // Twice under one name would make Prometheus refuse the whole scrape.
  const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
  expect(types).toHaveLength(new Set(types).size);
});

test('as a process of its own it says where its health is, exports the SDK too, and ends in order', async () => {
  const program = join(PACKAGE_ROOT, 'dist/src/cli/main.js');
  const args = ['--config', driver.stack.configFile, 'worker', '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, [program, ...args], {
    env: process.env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    let said = '';
    child.stdout.on('data', (text: Buffer) => (said += text.toString()));
    await until(async () => said.includes('health and metrics on'));
    const url = /health and metrics on (\S+)/.exec(said)?.[1] as string;
    await until(async () => (await request(`${url}/health/ready`)).statusCode === 200);
    const { body } = await request(`${url}/metrics`);
    expect(await body.text()).toMatch(/^temporal_worker_task_slots_available\{/m);
  } finally {
    child.kill('SIGTERM');
  }
  expect(await ended).toBe(0);
});

test('an address that is taken stops the worker before it takes work, and says which', async () => {
  const { config } = driver.stack;
  const taken = worker.healthUrl!.replace('http://', '');
  await expect(startWorker({ ...config, worker: { ...config.worker, listen: taken } })).rejects.toThrow(
    `the worker cannot listen on ${taken} (worker.listen)`,
  );
});

// Last: Temporal is gone afterwards.
test('without Temporal it still answers, with what it read last', async () => {
  const before = await read();
  await driver.stack.temporal.kill();
  const after = await readUntil((all) => all.get('runbooks_temporal_up') === 0);
  const restored = 'runbooks_last_verified_restore_timestamp_seconds{service="booking"}';
  expect(after.get(restored)).toBe(before.get(restored));
  expect(after.get('runbooks_last_verified_restore_age_seconds{service="booking"}')).toBeGreaterThan(0);
  expect((await get('/health/live')).status).toBe(200);
  const ready = await get('/health/ready');
  expect(ready.status).toBe(503);
  expect((await get('/metrics')).status).toBe(200);
});

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries > 1_800) throw new Error('it never came');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
