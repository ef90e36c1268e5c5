import { bytes } from '../../../contract/text';
import { type Run, runbook } from '../../kit';
import type { backUpDatabaseCard } from './card';
import { allHold } from '../checks';
import { describeAge } from '../choose-backup';
import { backupsOfAllHosts } from '../on-one-host';
import { nameForRun } from '../names';
import { takeBackup } from '../take-backup';
import type { BackupRef, Pruned, Retained } from '../../../contract/backup';
import { databaseIn, type Fence, targetOf } from '../../../contract/place';

/** Takes a backup that says what is in it, proves its files, copies it off site, and keeps to the retention. */
export const backUpDatabase = runbook<typeof backUpDatabaseCard>('backUpDatabase', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const target = targetOf(place);
  const backupId = nameForRun();

  const facts = await run.step(
    'Look at the database',
    (act) => act.readDatabaseFacts({ database: databaseIn(place) }),
    {
      describe: ({ database, sizeBytes, serverVersion }) =>
        `${database}, ${bytes(sizeBytes)}, PostgreSQL ${serverVersion}`,
    },
  );
  const before = await run.step('List the backups', backupsOfAllHosts(run, { ...place, only: 'disk' }), {
    describe: (backups) =>
      backups[0] === undefined ? 'none yet' : `${backups.length}, newest ${describeAge(backups[0])}`,
  });
  await run.gate(() => ({
    actions: [
      { action: 'back up', target, detail: `${bytes(facts.sizeBytes)} as ${backupId}` },
      { action: 'apply the retention', target: `backups of ${target}`, count: before.length },
    ],
  }));

  const backup = await run.exclusively(
    target,
    (fence) => takeBackup(run, place, backupId, fence),
    facts.fenceToken,
  );
  await run.verify(
    'Checksums and table of contents',
    (act) => act.verifyBackupFiles({ ...place, backupId }),
    allHold,
  );
  await run.step('Copy off site', (act) => act.uploadBackup({ ...place, backupId }), {
    kind: 'long',
    undo: { harmless: `a copy of ${backupId} off site` },
    describe: ({ detail }) => detail,
  });
  // Under the lease, so that no restore and no other retention is at these backups.
  await run.exclusively(
    target,
    (fence) => applyRetention(run, { ...place, backupId }, fence),
    facts.fenceToken,
  );

  run.fact('backupId', backupId);
  run.fact('snapshotAt', backup.snapshotAt);
  run.fact('backupBytes', backup.sizeBytes);
  run.fact('backupSeconds', backup.durationMs / 1_000);
  return `${backupId} has ${backup.rows.toLocaleString('en-US')} rows of ${backup.tables} tables in ${bytes(backup.sizeBytes)}`;
});

/** On the disk that the backup was taken to, and off site. */
function applyRetention(run: Run, ref: BackupRef, fence: Fence): Promise<Retained> {
  return run.step('Apply the retention', (act) => act.pruneBackups({ ...ref, dryRun: false, fence }), {
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
