import type { BackupSummary } from '../../contract/backup';
import { type Fence, type Place, targetOf } from '../../contract/place';
import { bytes, duration, type Run } from '../kit';
import { databaseIn } from './names';

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

function describeBackup(backup: BackupSummary): string {
  const { backupId, sizeBytes, tables, rows, durationMs } = backup;
  return `${backupId}: ${bytes(sizeBytes)}, ${tables} tables, ${rows.toLocaleString('en-US')} rows in ${duration(durationMs)}`;
}
