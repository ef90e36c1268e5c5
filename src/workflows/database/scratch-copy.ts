import { bytes, duration, type Run } from '../kit';
import { allHold } from './checks';
import { nameForRun } from './names';
import type { DatabaseRef, Place } from '../../contract/place';
import type { RestoreResult, ValidationReport } from '../../contract/backup';

export interface RestoredCopy {
  database: DatabaseRef;
  restore: RestoreResult;
  validation: ValidationReport;
}

/** Restores a backup into a disposable cluster of its own and validates it; dropped when the run ends. */
export async function restoreIntoScratch(run: Run, place: Place, backupId: string): Promise<RestoredCopy> {
  const scratch = nameForRun();
  const database: DatabaseRef = { kind: 'scratch', scratch, database: 'restored' };
  run.defer('Drop the disposable cluster', (act) => act.dropScratch({ scratch }));
  await run.step('Start a disposable cluster', (act) => act.openScratch({ scratch, ...place, backupId }), {
    kind: 'long',
    undo: 'disposable',
  });
  const restore = await run.step(
    `Restore ${backupId} into it`,
    (act) => act.restoreBackup({ ...place, backupId, into: database, fence: null }),
    { kind: 'long', undo: 'disposable', describe: describeRestore },
  );
  const validation = await validateCopy(run, place, backupId, database);
  await run.step('Record the proof', (act) => act.markBackupProven({ ...place, backupId }), {
    kind: 'mutate',
    undo: { harmless: `the proof of ${backupId}` },
  });
  return { database, restore, validation };
}

/** One line about a restore. */
export function describeRestore({ sizeBytes, durationMs, remarks = [] }: RestoreResult): string {
  return [`${bytes(sizeBytes)} in ${duration(durationMs)}`, ...remarks].join('; ');
}

/** Compares a restored database with the manifest of its backup; a difference fails the run. */
export async function validateCopy(
  run: Run,
  place: Place,
  backupId: string,
  database: DatabaseRef,
): Promise<ValidationReport> {
  return run.verify(
    'Validate the restored copy',
    (act) => act.validateRestore({ ...place, backupId, database, smoke: true }),
    allHold,
  );
}
