import { ApplicationFailure } from '@temporalio/workflow';
import type { BackupListEntry } from '../../contract/backup';
import { utc } from '../kit';

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

export function describeAge(backup: BackupListEntry): string {
  return `${backup.backupId}, snapshot of ${utc(backup.snapshotAt)} UTC, ${backup.provenAt === null ? 'never restored' : `proven ${utc(backup.provenAt)} UTC`}`;
}
