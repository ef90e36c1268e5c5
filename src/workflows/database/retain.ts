import type { BackupRef, Pruned, Retained } from '../../contract/backup';
import { type Fence, targetOf } from '../../contract/place';
import type { Run } from '../kit';

/** On the disk that the backup was taken to, and off site. */
export function applyRetention(
  run: Run,
  ref: BackupRef,
  fence: Fence,
  title = 'Apply the retention',
): Promise<Retained> {
  return run.step(title, (act) => act.pruneBackups({ ...ref, dryRun: false, fence }), {
    kind: 'mutate',
    undo: {
      irreversible: 'backups beyond the retention were deleted',
      unless: ({ deleted, offsite }) => deleted.length + (offsite?.deleted.length ?? 0) === 0,
    },
    describe: ({ offsite, ...onDisk }) =>
      describePruned(onDisk) + (offsite === undefined ? '' : `; off site ${describePruned(offsite)}`),
  });
}

function describePruned({ deleted, kept, held, locked = [] }: Pruned & { locked?: string[] }): string {
  const why = [
    ...(held.length > 0 ? [`${held.length} of them for open runs`] : []),
    ...(locked.length > 0 ? [`${locked.length} of them locked by the storage`] : []),
  ];
  return [`${deleted.length} deleted`, `${kept.length} kept`, ...why].join(', ');
}

/** The same after a run that took a backup on its way: it is about something else, and is no worse where this fails. */
export async function retainAfter(run: Run, ref: BackupRef, fence: Fence): Promise<void> {
  const title = `Apply the retention of ${targetOf(ref)}`;
  const { ok, why } = await run.attempt(() => applyRetention(run, ref, fence, title));
  if (!ok) run.note('The retention was not applied', `${why} The next backup applies it.`, { failed: true });
}
