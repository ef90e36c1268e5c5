import { runbook } from '../../kit';
import type { restoreDatabaseCard } from './card';
import { describeAge } from '../choose-backup';
import { lossText } from '../loss';
import { replicationReminder } from '../replication';
import { prepareRestore, tellNewIdentity } from '../prepare-restore';
import { takeOver } from '../take-over';
import { targetOf } from '../../../contract/place';

/** Puts a backup in place of the live database, or of what is left of it, and keeps the former one for the way back. */
export const restoreDatabase = runbook<typeof restoreDatabaseCard>('restoreDatabase', async (input, run) => {
  const registered = { service: input.service, environment: input.environment };
  const target = targetOf(registered);

  const prepared = await prepareRestore(run, registered, input.recoveryPoint, ({ live, backup }) => {
    const there = live.condition !== 'missing';
    const readable = live.condition === 'there' && live.registered;
    return [
      ...(there ? [{ action: 'stop writes', target }] : []),
      ...(readable ? [{ action: 'back up what is there', target }] : []),
      { action: 'restore beside', target, detail: describeAge(backup) },
      there
        ? { action: 'swap', target, detail: 'the former database is kept' }
        : { action: 'give it the name of the live database', target, detail: live.database },
      ...(input.judgeHealth !== false
        ? []
        : [{ action: 'leave the health of the application to whoever started this', target }]),
    ];
  });
  const { place, live, backup, loss: told } = prepared;

  const loss = await run.exclusively(
    target,
    async (fence) => {
      await run.announce(
        `Maintenance: ${target} is restored from ${backup.backupId}; no writes are taken until that is done.`,
      );
      return takeOver(run, place, {
        ...{ backupId: backup.backupId, fence, live, loss: told },
        judgeHealth: input.judgeHealth,
      });
    },
    live.fenceToken,
  );
  const next = `${tellNewIdentity(run, prepared)}${replicationReminder(live)}`;
  await run.announce(`${target} was restored from ${backup.backupId} and takes writes again${next}.`);
  return `${target} is restored from ${backup.backupId}; this ${lossText({ ...loss, atMost: loss.lost?.rowsAtMost ?? null }, backup.snapshotAt)}${next}`;
});
