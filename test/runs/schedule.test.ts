import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Manifest } from '../../src/activities/postgres/backups/manifest';
import { scheduleSchema } from '../../src/config/schedule-schema';
import type { RunReport } from '../../src/contract/report';
import { applySchedules } from '../../src/schedules/apply';
import { diffSchedules } from '../../src/schedules/diff';
import { triggerSchedule } from '../../src/schedules/operate';
import { readSchedules, type ScheduleState } from '../../src/schedules/read';
import { editManifest } from '../support/damage';
import { quietTemporal } from '../support/quiet';
import { until } from '../schedules/server';
import { startDriver, type Driver } from './harness';

quietTemporal();
let driver: Driver;
beforeAll(async () => {
  driver = await startDriver();
});
afterAll(() => driver?.stack.stop());

const apply = async () => {
  const { client, config } = driver.stack;
  await applySchedules(client, config, await diffSchedules(client, config));
};
const stateOf = async (id: string): Promise<ScheduleState> => {
  const { client, config } = driver.stack;
  return (await readSchedules(client, config, { runs: 5 })).find((one) => one.id === id)!;
};
const runNow = async (id: string) => {
  const { client, config } = driver.stack;
  const { workflowId } = await triggerSchedule(client, config, id, 'ana');
  return driver.end(client.workflow.getHandle(workflowId));
};
const backupFolders = () => {
  const store = join(driver.stack.directory, 'backups/booking/production');
  return driver.backups().map((name) => join(store, name));
};
const manifestOf = (folder: string) =>
  JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as Manifest;
const dayBefore = (iso: string) => new Date(Date.parse(iso) - 86_400_000).toISOString();

const DAILY_AND_WEEKLY = ['daily-backup', 'daily-backup-check', 'weekly-restore-test'];

function sameAsBefore(day: number): void {
  const newest = backupFolders()
    .map((folder) => ({ folder, ...manifestOf(folder) }))
    .sort((a, b) => (a.snapshotAt < b.snapshotAt ? 1 : -1))[0]!;
  const copy = `${newest.folder.replace(/-day\d+$/, '')}-day${day}`;
  cpSync(newest.folder, copy, { recursive: true });
  rmSync(join(copy, 'proven.json'), { force: true });
  editManifest(copy, (manifest) => {
    manifest.backupId = basename(copy);
    manifest.previousSnapshotAt = manifest.snapshotAt;
    manifest.snapshotAt = new Date(Date.parse(newest.snapshotAt) + 86_400_000).toISOString();
  });
}

/** The clock cannot be moved for everybody; so the backups are moved: each was made, and proven, a day earlier. */
function passADay(): void {
  for (const folder of backupFolders()) {
    editManifest(folder, (manifest) => {
      manifest.snapshotAt = dayBefore(manifest.snapshotAt);
      if (manifest.previousSnapshotAt !== null)
        manifest.previousSnapshotAt = dayBefore(manifest.previousSnapshotAt);
    });
    const path = join(folder, 'proven.json');
    if (!existsSync(path)) continue;
    const { provenAt } = JSON.parse(readFileSync(path, 'utf8')) as { provenAt: string };
    const manifestSha256 = readFileSync(join(folder, 'manifest.sha256'), 'utf8');
    writeFileSync(path, JSON.stringify({ provenAt: dayBefore(provenAt), manifestSha256 }));
  }
}

const facts = ['restoreSeconds', 'validationSeconds', 'estimatedRtoSeconds', 'rpoSeconds'];
const FAILING = 'check-of-staging';

it('the schedules of the sample are applied, and one more that fails every minute', async () => {
  // Staging has no backup, so its check fails.
  driver.stack.config.schedules[FAILING] = scheduleSchema.parse({
    runbook: 'checkBackups',
    input: { service: 'booking', environment: 'staging' },
    cron: '* * * * *',
    pauseOnFailure: true,
  });
  await apply();
  const { client, config } = driver.stack;
  const states = await readSchedules(client, config);
  expect(states.map(({ id, applied, overdueSeconds }) => [id, applied, overdueSeconds])).toEqual([
    ['daily-backup', true, 0],
    ['daily-checklist', true, 0],
    ['daily-backup-check', true, 0],
    ['hourly-holds', true, 0],
    ['weekly-restore-test', true, 0],
    ['nightly-vacuum', true, 0],
    ['quarterly-rotation', true, 0],
    ['quarterly-index-review', true, 0],
    [FAILING, true, 0],
  ]);
});

it('the daily backup, its check and the weekly restore test run from their schedules', async () => {
  const backup = await runNow('daily-backup');
  expect([backup.outcome, backup.report.startedBy]).toEqual(['SUCCEEDED', 'schedule:daily-backup']);
  expect((await runNow('daily-backup-check')).outcome).toBe('SUCCEEDED');
  const drill = await runNow('weekly-restore-test');
  expect(drill.outcome).toBe('SUCCEEDED');
  expect(drill.report).toMatchObject({ startedBy: 'schedule:weekly-restore-test', mode: 'auto' });
  for (const fact of facts) expect(drill.report.facts[fact]).toEqual(expect.any(Number));
  expect(drill.handle.workflowId).toMatch(/^drillRestore\/booking\/schedule-weekly-restore-test-\d{4}-/);
  const state = await stateOf('weekly-restore-test');
  expect(state).toMatchObject({ lastOutcome: 'SUCCEEDED', overdueSeconds: 0, service: 'booking' });
  expect(Date.parse(state.lastStartedAt!)).toBeGreaterThan(Date.now() - 600_000);
});

it('the restore test starts when the calendar says so, nobody having asked', async () => {
  const before = (await stateOf('weekly-restore-test')).recent;
  // The next minute instead of Monday; everything else is the sample's.
  driver.stack.config.schedules['weekly-restore-test']!.cron = '* * * * *';
  await apply();
  const [fired] = (
    await until(
      () => stateOf('weekly-restore-test'),
      ({ recent }) => recent.length > before.length && recent[0]?.outcome !== 'RUNNING',
      180_000,
    )
  ).recent.slice(-before.length - 1);
  driver.stack.config.schedules['weekly-restore-test']!.cron = '0 5 * * MON';
  await apply();
  expect(fired?.outcome).toBe('SUCCEEDED');
  // The time in the ID is the minute that was due.
  expect(fired?.workflowId).toMatch(/^drillRestore\/booking\/schedule-weekly-restore-test-.*T\d\d:\d\d:00Z$/);
  const handle = driver.stack.client.workflow.getHandle(fired!.workflowId);
  const { memo, searchAttributes } = await handle.describe();
  const report = memo?.['report'] as RunReport;
  expect(report).toMatchObject({ outcome: 'SUCCEEDED', startedBy: 'schedule:weekly-restore-test' });
  for (const fact of facts) expect(report.facts[fact]).toEqual(expect.any(Number));
  expect(searchAttributes['TemporalScheduledById']).toEqual(['weekly-restore-test']);
});

it('a schedule that shall pause on failure has paused after its failed run, and says why', async () => {
  const state = await until(
    () => stateOf(FAILING),
    ({ paused }) => paused,
    180_000,
  );
  expect(state.recent.map(({ outcome }) => outcome)).toEqual(['FAILED']);
  expect(state.pausedWhy).toMatch(/paused due to .*fail/i);
  expect(state.pausedWhy).toContain('FAILED: Backups of booking/staging exist: 0 complete');
  expect(state.nextAt).toBeUndefined();
  // The same configuration, applied again, does not wake it.
  await apply();
  expect((await stateOf(FAILING)).paused).toBe(true);
});

it('four weeks of the schedules lose nothing and pause nothing, whichever backup the weekly test draws', async () => {
  const ended: [string, string][] = [];
  const drawn: number[] = [];
  for (let day = 1; day <= 28; day += 1) {
    // One day of each week as it is; on the others the backup of the day before stands for another one.
    if (day % 7 > 0) sameAsBefore(day);
    else
      for (const id of DAILY_AND_WEEKLY) {
        const { outcome, message, report } = await runNow(id);
        ended.push([id, outcome === 'SUCCEEDED' ? outcome : message]);
        if (id !== 'weekly-restore-test') continue;
        drawn.push(Number(report.facts['recoveryPointAgeSeconds']));
        expect(report.facts['rpoSeconds']).toBeLessThan(86_400);
      }
    passADay();
  }
  expect(ended.filter(([, outcome]) => outcome !== 'SUCCEEDED')).toEqual([]);
  expect(ended).toHaveLength(4 + 4 + 4);
  for (const id of DAILY_AND_WEEKLY) expect((await stateOf(id)).paused).toBe(false);
  // keep: 5 of the sample: as many proven and unproven ones, and never the last proven one gone.
  const left = backupFolders();
  const proven = left.filter((folder) => existsSync(join(folder, 'proven.json')));
  expect(proven.length).toBeGreaterThanOrEqual(1);
  // The last test may have proven one of them.
  expect(left.length - proven.length).toBeGreaterThanOrEqual(4);
  expect(left.length).toBeLessThanOrEqual(10);
  // Whichever it drew: an old recovery point is no old backup.
  const oldest = left.map(manifestOf).sort((a, b) => (a.snapshotAt < b.snapshotAt ? -1 : 1))[0]!;
  await runNow('daily-backup');
  const drill = await driver.run('drillRestore', { recoveryPoint: oldest.backupId, mode: 'auto' });
  expect(drill.outcome).toBe('SUCCEEDED');
  expect(drill.report.facts['recoveryPointAgeSeconds']).toBeGreaterThan(4 * 86_400);
  expect(drill.report.facts['rpoSeconds']).toBeLessThan(86_400);
}, 300_000);
