import type { BackupRef, Pruned, Retained } from '../../contract/backup';
import type { OnHost } from '../../contract/hosts';
import { type Fence, type Place, targetOf } from '../../contract/place';
import type { Run } from '../kit';

/** On the disk that the backup was taken to, or that of a host, and off site. */
export function applyRetention(
  run: Run,
  ref: BackupRef | (Place & OnHost),
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

/**
 * The same on the disks of the other hosts: what runs have fetched to them, and what was taken there before, no backup of
 * their own deletes. One that is away, or holds what is not understood, keeps nobody's backup from counting.
 */
export async function retainElsewhere(run: Run, place: Place, fence: Fence, own: string): Promise<void> {
  const hosts = await run.look('Which hosts are there?', (act) => act.listHosts());
  for (const workerHost of hosts.filter((host) => host !== own)) {
    const title = `Apply the retention on ${workerHost}`;
    const { ok, why } = await run.attempt(() => applyRetention(run, { ...place, workerHost }, fence, title));
    if (!ok)
      run.note(`The retention was not applied on ${workerHost}`, `${why} The next backup applies it.`, {
        failed: true,
      });
  }
}

/** The same after a run that took a backup on its way: it is about something else, and is no worse where this fails. */
export async function retainAfter(run: Run, ref: BackupRef, fence: Fence): Promise<void> {
  const title = `Apply the retention of ${targetOf(ref)}`;
  const { ok, why } = await run.attempt(() => applyRetention(run, ref, fence, title));
  if (!ok) run.note('The retention was not applied', `${why} The next backup applies it.`, { failed: true });
}
