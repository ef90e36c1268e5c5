import { bytes } from '../../../contract/text';
import { targetOf } from '../../../contract/place';
import { runbook } from '../../kit';
import { describeAge } from '../choose-backup';
import { backupsOfAllHosts } from '../on-one-host';
import type { releaseBackupCard } from './card';

/** Lets go of a safety backup. It is still there afterwards: deleting is the retention's, under the lease. */
export const releaseBackup = runbook<typeof releaseBackupCard>('releaseBackup', async (input, run) => {
  const { backupId } = input;
  const place = { service: input.service, environment: input.environment };

  const { backup } = await run.verify(
    'It is a safety backup',
    async (act) => ({
      backup: (await backupsOfAllHosts(run, { ...place, only: 'disk', about: backupId })(act)).find(
        (one) => one.backupId === backupId,
      ),
    }),
    ({ backup: found }) => {
      if (found === undefined)
        return { ok: false, detail: `there is no backup ${backupId} of ${targetOf(place)}` };
      return found.purpose === 'safety'
        ? { ok: true, detail: describeAge(found) }
        : { ok: false, detail: `${backupId} is none: the retention decides about it` };
    },
  );
  if (backup === undefined) throw new Error('unreachable: the check above found it');
  if (backup.releasedAt !== null) return run.nothingToDo(`${backupId} was released at ${backup.releasedAt}`);

  await run.gate(() => ({
    actions: [
      {
        action: 'let the retention delete it',
        target: backupId,
        detail: `${describeAge(backup)}, ${bytes(backup.sizeBytes)}`,
      },
    ],
    warnings: ['the next retention on the disk that it lies on deletes it, and nothing brings it back'],
    facts: { manifest: backup.manifestSha256 },
  }));
  await run.step('Release it', (act) => act.releaseBackup({ ...place, backupId, by: input.startedBy }), {
    kind: 'mutate',
    undo: { irreversible: `${backupId} is released, and the next retention deletes it` },
  });
  const where =
    backup.workerHost === undefined
      ? 'on the disk that it lies on'
      : `of backUpDatabase on host ${backup.workerHost}`;
  return `${backupId} is released: the next retention ${where} deletes it`;
});
