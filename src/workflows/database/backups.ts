import { ApplicationFailure, workflowInfo } from '@temporalio/workflow';
import { bytes, duration, utc } from '../../contract/text';
import type { Run, Verdict } from '../kit';
import { type Check, type DatabaseRef, type Fence, type Place, targetOf } from '../../contract/place';
import type { InvariantResult } from '../../contract/migration';
import type { BackupListEntry, BackupSummary, ValidationReport } from '../../contract/backup';

export function databaseIn({ service, environment }: Place, database?: string): DatabaseRef {
  return { kind: 'service', service, environment, ...(database === undefined ? {} : { database }) };
}

/** Name for what this run makes (backup, disposable cluster, copy): known before it is made, equal on every retry. */
export function nameForRun(): string {
  const { startTime, runId } = workflowInfo();
  const stamp = startTime.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${runId.slice(-8)}`;
}

/** Writes the canary and takes a proven-complete backup under the lease. */
export async function takeBackup(
  run: Run,
  place: Place,
  backupId: string,
  fence: Fence,
): Promise<BackupSummary> {
  const database = databaseIn(place);
  await run.step('Write the canary', (act) => act.writeCanary({ database, fence, id: backupId }), {
    kind: 'mutate',
    undo: { harmless: `a canary row in ${targetOf(place)}` },
  });
  return run.step(`Back up ${targetOf(place)}`, (act) => act.backUp({ ...place, backupId, fence }), {
    kind: 'long',
    undo: { harmless: `backup ${backupId}` },
    describe: describeBackup,
  });
}

export function describeBackup(backup: BackupSummary): string {
  const { backupId, sizeBytes, tables, rows, durationMs } = backup;
  return `${backupId}: ${bytes(sizeBytes)}, ${tables} tables, ${rows.toLocaleString('en-US')} rows in ${duration(durationMs)}`;
}

export function describeAge(backup: BackupListEntry): string {
  return `${backup.backupId}, snapshot of ${utc(backup.snapshotAt)} UTC, ${backup.provenAt === null ? 'never restored' : `proven ${utc(backup.provenAt)} UTC`}`;
}

/** All checks must hold, and there must be some: an empty report proves nothing. */
export function allHold(report: ValidationReport | Check[]): Verdict {
  const checks = Array.isArray(report) ? report : report.checks;
  const failed = checks.filter((check) => !check.ok);
  if (failed.length > 0)
    return { ok: false, detail: failed.map(({ name, detail }) => `${name}: ${detail}`).join('; ') };
  if (!Array.isArray(report) && checks.length === 0) return { ok: false, detail: 'nothing was checked' };
  return { ok: true, detail: `${checks.length} checks hold` };
}

export function invariantsHold(results: InvariantResult[]): Verdict {
  const broken = results.filter((result) => !result.ok);
  if (broken.length === 0) return { ok: true, detail: `${results.length} invariants hold` };
  return {
    ok: false,
    detail: broken
      .map(({ name, violations, sample }) => `${name}: ${violations} violations, e.g. ${sample}`)
      .join('; '),
  };
}

/**
 * The backup for a recovery point: `latest`, `random` among `candidates`, a backup's ID, or an ISO time (the newest
 * snapshot not later than it). Throws NoRecoveryPoint.
 */
export function chooseBackup(candidates: BackupListEntry[], recoveryPoint: string): BackupListEntry {
  const complete = candidates.filter((backup) => backup.complete);
  const newestFirst = [...complete].sort((a, b) => (a.snapshotAt < b.snapshotAt ? 1 : -1));
  const chosen = pick(newestFirst, recoveryPoint);
  if (chosen !== undefined) return chosen;
  const known = newestFirst.slice(0, 5).map(describeAge).join('; ');
  throw ApplicationFailure.nonRetryable(
    `no backup for recovery point "${recoveryPoint}". ${known === '' ? 'There is no complete backup: run backUpDatabase.' : `Newest: ${known}.`}`,
    'NoRecoveryPoint',
  );
}

function pick(newestFirst: BackupListEntry[], recoveryPoint: string): BackupListEntry | undefined {
  if (recoveryPoint === 'latest') return newestFirst[0];
  // The sandbox seeds Math.random, so a replay draws the same.
  if (recoveryPoint === 'random') return newestFirst[Math.floor(Math.random() * newestFirst.length)];
  const byId = newestFirst.find(({ backupId }) => backupId === recoveryPoint);
  if (byId !== undefined || Number.isNaN(Date.parse(recoveryPoint))) return byId;
  const time = new Date(recoveryPoint).toISOString();
  return newestFirst.find(({ snapshotAt }) => snapshotAt <= time);
}

/** Health of the application in front of an environment, where one is configured. */
export async function verifyHealth(run: Run, place: Place): Promise<void> {
  await run.verify(
    `Health of ${targetOf(place)}`,
    (act) => act.checkHealth(place),
    (checks) =>
      checks.length === 0 ? { ok: true, detail: 'no health endpoint configured' } : allHold(checks),
  );
}
