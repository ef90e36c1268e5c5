import { bytes } from '../../../contract/text';
import { runbook } from '../../kit';
import type { restoreDatabaseCard } from './card';
import { chooseBackup, describeAge, describeLoss } from '../choose-backup';
import { databaseIn } from '../names';
import { takeOver } from '../take-over';
import { targetOf } from '../../../contract/place';

/** Puts a backup in place of the live database, and keeps the former one for the way back. */
export const restoreDatabase = runbook<typeof restoreDatabaseCard>('restoreDatabase', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const target = targetOf(place);

  const facts = await run.step(
    'Look at the database',
    (act) => act.readDatabaseFacts({ database: databaseIn(place), write: true }),
    {
      describe: ({ database, sizeBytes, serverVersion }) =>
        `${database}, ${bytes(sizeBytes)}, PostgreSQL ${serverVersion}`,
    },
  );
  const backup = chooseBackup(
    await run.step('List the backups', (act) => act.listBackups(place)),
    input.recoveryPoint,
  );
  const readLoss = () =>
    run.step(
      'What would be lost?',
      (act) => act.estimateLostWrites({ ...place, backupId: backup.backupId }),
      { describe: describeLoss },
    );
  const lost = await readLoss();

  const plan = () => ({
    actions: [
      { action: 'stop writes', target },
      { action: 'back up what is there', target, detail: bytes(facts.sizeBytes) },
      { action: 'restore beside', target, detail: describeAge(backup) },
      { action: 'swap', target, detail: 'the former database is kept' },
    ],
    warnings: [
      lost.rowsAtMost === 0
        ? 'no writes are known to be lost'
        : `this ${describeLoss(lost)} (an upper bound)`,
    ],
    facts: {
      backup: backup.backupId,
      manifest: backup.manifestSha256,
      systemIdentifier: facts.systemIdentifier,
    },
  });
  await run.gate(plan);
  if (run.policy.mode === 'auto' && lost.rowsAtMost > 0) {
    const choice = await run.ask(
      `Restoring ${backup.backupId} in ${target} ${describeLoss(lost)}. Restore?`,
      ['restore', 'stop'],
    );
    if (choice === 'stop') return run.reject('decided not to lose these writes');
  }

  await run.announce(`Maintenance: ${target} is restored from ${backup.backupId}; writes stop now.`);
  await run.exclusively(
    target,
    (fence) => takeOver(run, place, { backupId: backup.backupId, fence }),
    facts.fenceToken,
  );
  await run.announce(`${target} was restored from ${backup.backupId} and takes writes again.`);
  return `${target} is restored from ${backup.backupId}; this ${describeLoss(lost)}`;
});
