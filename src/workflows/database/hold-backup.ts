import type { BackupRef } from '../../contract/backup';
import type { Run } from '../kit';

/** Keeps a chosen backup from the retention until this run has ended. To be called as soon as it is chosen. */
export async function holdBackup(run: Run, backup: BackupRef): Promise<void> {
  await run.step('Keep it from the retention', (act) => act.holdBackup(backup), {
    kind: 'mutate',
    undo: 'disposable',
  });
}
