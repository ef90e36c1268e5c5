import { ApplicationFailure } from '@temporalio/workflow';
import type { BackupListEntry } from '../../contract/backup';
import { timeOf } from '../../contract/recovery-point';
import { utc } from '../kit';

/** Complete, and made to be restored from: a safety backup is a way back, which only its ID chooses. */
export function isRecoveryPoint({ complete, purpose }: BackupListEntry): boolean {
  return complete && purpose !== 'safety';
}

/**
 * The backup for a recovery point: `latest`, `random` among `candidates`, a backup's ID, or an ISO time (the newest
 * snapshot not later than it). Throws NoRecoveryPoint.
 */
export function chooseBackup(candidates: BackupListEntry[], recoveryPoint: string): BackupListEntry {
  const byId = candidates.find(({ backupId }) => backupId === recoveryPoint);
  if (byId?.complete === true) return byId;
  if (byId !== undefined)
    throw noRecoveryPoint(`${recoveryPoint} is not complete: ${byId.problem ?? 'damaged'}`);
  const newestFirst = recoveryPointsOf(candidates);
  const chosen = pick(newestFirst, recoveryPoint);
  if (chosen !== undefined) return chosen;
  const known = newestFirst.slice(0, 5).map(describeAge).join('; ');
  const passed = describePassedOver(candidates);
  throw noRecoveryPoint(
    [
      `no backup for recovery point "${recoveryPoint}"`,
      known === '' ? 'There is no complete backup: run backUpDatabase' : `Newest: ${known}`,
      ...(known === '' ? passed : []),
    ].join('. '),
  );
}

/** The newest backup that `latest` chooses; what would be lost if the database were gone now. */
export function newestOf(candidates: BackupListEntry[]): BackupListEntry | undefined {
  return recoveryPointsOf(candidates)[0];
}

/** A sentence about each newer backup that could not be chosen, and why; a few of them where there are many. */
export function passedOver(candidates: BackupListEntry[], chosen: BackupListEntry): string[] {
  // Of a damaged manifest nobody knows the time, so it may be newer.
  return describePassedOver(
    candidates.filter(({ snapshotAt }) => snapshotAt === '' || snapshotAt > chosen.snapshotAt),
  );
}

const MAX_DESCRIBED = 5;

function describePassedOver(candidates: BackupListEntry[]): string[] {
  const unusable = candidates.filter((backup) => !isRecoveryPoint(backup));
  const sentences = unusable
    .slice(0, MAX_DESCRIBED)
    .map((backup) => `${backup.backupId} is ${whyNot(backup)}`);
  if (unusable.length > MAX_DESCRIBED) sentences.push(`so are ${unusable.length - MAX_DESCRIBED} more`);
  return sentences;
}

function whyNot({ complete, problem, snapshotAt }: BackupListEntry): string {
  if (!complete) return `not complete: ${problem ?? 'damaged'}`;
  return `a safety backup of ${utc(snapshotAt)} UTC, chosen by its ID only`;
}

function recoveryPointsOf(candidates: BackupListEntry[]): BackupListEntry[] {
  return candidates.filter(isRecoveryPoint).sort((a, b) => (a.snapshotAt < b.snapshotAt ? 1 : -1));
}

function pick(newestFirst: BackupListEntry[], recoveryPoint: string): BackupListEntry | undefined {
  if (recoveryPoint === 'latest') return newestFirst[0];
  // The sandbox seeds Math.random, so a replay draws the same.
  if (recoveryPoint === 'random') return newestFirst[Math.floor(Math.random() * newestFirst.length)];
  const time = timeOf(recoveryPoint);
  return time === undefined ? undefined : newestFirst.find(({ snapshotAt }) => snapshotAt <= time);
}

function noRecoveryPoint(message: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`${message.replace(/\.$/, '')}.`, 'NoRecoveryPoint');
}

export function describeAge(backup: BackupListEntry): string {
  return `${backup.backupId}${backup.purpose === 'safety' ? ' (a safety backup)' : ''}, snapshot of ${utc(backup.snapshotAt)} UTC, ${backup.provenAt === null ? 'not proven yet' : `proven ${utc(backup.provenAt)} UTC`}`;
}
