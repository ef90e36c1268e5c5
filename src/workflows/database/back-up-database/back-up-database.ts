import { bytes } from '../../../contract/text';
import { runbook } from '../../kit';
import type { backUpDatabaseCard } from './card';
import { allHold } from '../checks';
import { describeAge } from '../choose-backup';
import { backupsOfAllHosts, LISTING } from '../on-one-host';
import { nameForRun } from '../names';
import { applyRetention, retainElsewhere } from '../retain';
import { takeBackup } from '../take-backup';
import { databaseIn, targetOf } from '../../../contract/place';

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
    ...LISTING,
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
    async (fence) => {
      await applyRetention(run, { ...place, backupId }, fence);
      await retainElsewhere(run, place, fence, backup.workerHost);
    },
    facts.fenceToken,
  );

  run.fact('backupId', backupId);
  run.fact('snapshotAt', backup.snapshotAt);
  run.fact('backupBytes', backup.sizeBytes);
  run.fact('backupSeconds', backup.durationMs / 1_000);
  return `${backupId} has ${backup.rows.toLocaleString('en-US')} rows of ${backup.tables} tables in ${bytes(backup.sizeBytes)}`;
});
