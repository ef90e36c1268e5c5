import { bytes, duration, type Run } from '../kit';
import { allHold } from './checks';
import { onOneHost, type Cluster } from './on-one-host';
import type { DatabaseRef, Place, ScratchRef } from '../../contract/place';
import type { BackupRef, RestoreResult, ValidationReport } from '../../contract/backup';

export interface RestoredCopy {
  database: ScratchRef;
  restore: RestoreResult;
  validation: ValidationReport;
}

/**
 * Restores a backup into a disposable cluster of its own, with the rights that a restore over the live database would have,
 * and validates it; dropped when the run ends.
 */
export function drillIntoScratch(run: Run, place: Place, backupId: string): Promise<RestoredCopy> {
  return onOneHost(run, { ...place, backupId }, (cluster) =>
    restoreInto(run, place, backupId, { cluster, liveRights: true }),
  );
}

/** Restores it there as a superuser, and `body` with the copy: where its host is lost, both begin again on another one. */
export function onScratchCopy<T>(
  run: Run,
  place: Place,
  backupId: string,
  body: (copy: RestoredCopy) => Promise<T>,
): Promise<T> {
  return onOneHost(run, { ...place, backupId }, async (cluster) =>
    body(await restoreInto(run, place, backupId, { cluster })),
  );
}

async function restoreInto(
  run: Run,
  place: Place,
  backupId: string,
  { cluster, ...rights }: { cluster: Cluster; liveRights?: boolean },
): Promise<RestoredCopy> {
  const { scratch } = cluster;
  const database: ScratchRef = { kind: 'scratch', scratch, database: 'restored', of: place };
  run.defer(
    `Drop the disposable cluster ${scratch}`,
    (act) => act.dropScratch({ scratch }),
    'Its time to live will remove it.',
  );
  const { directory } = await run.step(
    'Start a disposable cluster',
    (act) => act.openScratch({ scratch, ...place, backupId }),
    {
      kind: 'long',
      undo: 'disposable',
      describe: ({ workerHost, directory }) => `${directory} on ${workerHost}`,
    },
  );
  cluster.directory = directory;
  const restore = await run.step(
    `Restore ${backupId} into it`,
    (act) => act.restoreBackup({ ...place, backupId, into: database, fence: null, ...rights }),
    { kind: 'long', undo: 'disposable', describe: describeRestore },
  );
  const validation = await validateCopy(run, place, backupId, database, restore.role);
  await recordProof(run, { ...place, backupId });
  return { database, restore, validation };
}

/** To be called once a restore of it was validated. */
export async function recordProof(run: Run, { service, environment, backupId }: BackupRef): Promise<void> {
  await run.step('Record the proof', (act) => act.markBackupProven({ service, environment, backupId }), {
    kind: 'mutate',
    undo: { harmless: `the proof of ${backupId}` },
    describe: ({ detail }) => detail,
  });
}

/** One line about a restore. */
export function describeRestore({ sizeBytes, durationMs, remarks = [] }: RestoreResult): string {
  return [`${bytes(sizeBytes)} in ${duration(durationMs)}`, ...remarks].join('; ');
}

/** Compares a restored database with the manifest of its backup, as whoever restored it; a difference fails the run. */
export async function validateCopy(
  run: Run,
  place: Place,
  backupId: string,
  database: DatabaseRef,
  role?: string,
): Promise<ValidationReport> {
  return run.verify(
    'Validate the restored copy',
    (act) =>
      act.validateRestore({
        ...{ ...place, backupId, database, smoke: true },
        ...(role === undefined ? {} : { role }),
      }),
    allHold,
  );
}
