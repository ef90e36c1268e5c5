import { ApplicationFailure } from '@temporalio/workflow';
import { countOf, duration } from '../../../contract/text';
import { identityOf } from '../../../contract/migration';
import { type Run, runbook } from '../../kit';
import { diagnoseMigration, type Diagnosis } from './diagnose';
import type { migrateDatabaseCard } from './card';
import { migrateProduction } from './production';
import { rehearseOnClone, rehearseOnStaging, type Rehearsal } from './rehearse';
import { nameForRun } from '../names';
import { onScratchCopy } from '../scratch-copy';
import { takeBackup } from '../take-backup';
import { type Fence, targetOf } from '../../../contract/place';

/** Backup, rehearsal on staging and on a clone of that very backup, approval, production, verification; undone on failure. */
export const migrateDatabase = runbook<typeof migrateDatabaseCard>('migrateDatabase', async (input, run) => {
  const diagnosis = await diagnoseMigration(run, input);
  const { place, staging, pending } = diagnosis;
  const target = targetOf(place);
  if (pending.length === 0)
    return run.nothingToDo(`every requested migration is already applied in ${target}`);

  await run.plan({
    actions: [
      { action: 'back up and prove the backup', target },
      { action: 'rehearse up and down', target: 'a clone restored from that backup', count: pending.length },
      ...(staging === undefined
        ? []
        : [{ action: 'rehearse', target: targetOf(staging), count: pending.length }]),
      ...pending.map(({ name, sha256 }) => ({
        action: `apply ${name}`,
        target,
        detail: `SHA-256 ${sha256.slice(0, 12)}`,
      })),
    ],
    warnings: diagnosis.warnings,
  });

  const backup = await run.exclusively(
    target,
    (fence) => takeBackup(run, place, nameForRun(), fence),
    diagnosis.fenceToken,
  );
  const rehearsal = await onScratchCopy(run, place, backup.backupId, ({ database }) =>
    rehearseOnClone(run, diagnosis, database),
  );
  const goOn = (stagingFence?: Fence) =>
    afterRehearsal(run, diagnosis, rehearsal, backup.backupId, stagingFence);
  if (staging === undefined) await goOn();
  else await run.exclusively(targetOf(staging), goOn);

  const names = pending.map(({ name }) => name).join(', ');
  await run.announce(`${names} applied in ${target} and verified.`);
  return `${names} applied in ${target} and verified; backup ${backup.backupId} is proven`;
});

/** Staging stays leased until production is through, so that its way back is still the right one. */
async function afterRehearsal(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  backupId: string,
  stagingFence?: Fence,
): Promise<void> {
  const { place, pending } = diagnosis;
  const target = targetOf(place);
  if (stagingFence !== undefined) await rehearseOnStaging(run, diagnosis, stagingFence);

  await run.gate(async () => {
    await refuseIfChanged(run, diagnosis);
    return {
      actions: pending.map(({ name, sha256 }, index) => ({
        action: `apply ${name}`,
        target,
        detail: `SHA-256 ${sha256.slice(0, 12)}; ${describeApply(rehearsal, index)}; way back: ${describeWayBack(pending[index])}`,
      })),
      warnings: [...diagnosis.warnings, ...rehearsal.warnings],
      facts: {
        backupId,
        systemIdentifier: diagnosis.systemIdentifier,
        files: pending.map(identityOf).join(),
        delta: rehearsal.deltaDigest,
      },
    };
  });

  await run.announce(`${pending.map(({ name }) => name).join(', ')} is being applied in ${target}.`);
  await run.exclusively(
    target,
    (fence) => migrateProduction(run, diagnosis, rehearsal, { backupId, fence }),
    diagnosis.fenceToken,
  );
}

/** What was rehearsed is what is applied: a file edited meanwhile needs a rehearsal of its own. */
async function refuseIfChanged(run: Run, { place, pending, input }: Diagnosis): Promise<void> {
  const again = await run.step('Read the migrations again', (act) =>
    act.readMigrations({ ...place, files: input.files }),
  );
  const before = pending.map(identityOf).join('\n');
  const now = again.pending.map(identityOf).join('\n');
  if (before === now) return;
  throw ApplicationFailure.nonRetryable(
    `the pending migrations of ${targetOf(place)} changed since they were rehearsed. Start again to rehearse what is there now.`,
    'MigrationChanged',
  );
}

function describeApply({ applied }: Rehearsal, index: number): string {
  const result = applied[index];
  if (result === undefined) return 'not rehearsed';
  return `${countOf(result.statements, 'statement')}, rehearsed in ${duration(result.durationMs)}`;
}

function describeWayBack(migration: Diagnosis['pending'][number] | undefined): string {
  if (migration?.downSha256 == null) return 'restore, which asks';
  return migration.downDestroysData ? 'down script, which asks' : 'down script, rehearsed';
}
