import { ApplicationFailure } from '@temporalio/workflow';
import { describeLosses } from '../../../contract/contents';
import { countOf, duration } from '../../../contract/text';
import { describeLocks } from '../../../contract/locks';
import { identityOf } from '../../../contract/migration';
import { type Run, runbook } from '../../kit';
import { diagnoseMigration, type Diagnosis } from './diagnose';
import type { migrateDatabaseCard } from './card';
import { migrateProduction } from './production';
import { lostForGood, rehearseOnClone, type Back, type Rehearsal, type Rehearsed } from './rehearse';
import { describeSql } from './sql-text';
import { rehearseOnStaging } from './staging';
import { nameForRun } from '../names';
import { retainAfter } from '../retain';
import { unrestorable } from '../prepare-restore';
import { onScratchCopy } from '../scratch-copy';
import { copyOffsite, takeBackup } from '../take-backup';
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
      {
        action: 'rehearse up, and down as far as there are down scripts',
        target: 'a clone restored from that backup',
        count: pending.length,
      },
      ...(staging === undefined
        ? []
        : [{ action: 'rehearse', target: targetOf(staging), count: pending.length }]),
      ...pending.map((migration) => ({
        action: `apply ${migration.name}`,
        target,
        detail: [`SHA-256 ${migration.sha256.slice(0, 12)}`, ...describeSql(migration, pending.length)].join(
          '; ',
        ),
      })),
    ],
    warnings: diagnosis.warnings,
  });

  const backup = await run.exclusively(
    target,
    (fence) => takeBackup(run, place, nameForRun(), fence, { mayBeEmpty: true }),
    diagnosis.fenceToken,
  );
  const rehearsal = await onScratchCopy(run, place, backup.backupId, ({ database }) =>
    rehearseOnClone(run, diagnosis, database),
  );
  const offsite = await copyOffsite(run, { ...place, backupId: backup.backupId });
  if (offsite !== undefined) rehearsal.warnings.push(offsite);
  if (rehearsal.migrations.some(({ back }) => back.kind !== 'down'))
    rehearsal.warnings.unshift(...(await unrestorable(run, place, backup.backupId)));
  const goOn = (stagingFence?: Fence) =>
    afterRehearsal(run, diagnosis, rehearsal, backup.backupId, stagingFence);
  const concern = staging === undefined ? await goOn() : await run.exclusively(targetOf(staging), goOn);

  const names = pending.map(({ name }) => name).join(', ');
  const but = concern === '' ? '' : `; ${concern}`;
  await run.announce(`${names} applied in ${target} and verified${but}.`);
  return `${names} applied in ${target} and verified; backup ${backup.backupId} is proven${but}`;
});

/** Staging stays leased until production is through, so that its way back is still the right one. Returns what is of concern. */
async function afterRehearsal(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  backupId: string,
  stagingFence?: Fence,
): Promise<string> {
  const { place, staging, pending } = diagnosis;
  const target = targetOf(place);
  const stagingBackup =
    stagingFence === undefined ? undefined : await rehearseOnStaging(run, diagnosis, rehearsal, stagingFence);

  await run.gate(async () => {
    await refuseIfChanged(run, diagnosis);
    return {
      actions: rehearsal.migrations.map((rehearsed) => ({
        action: `apply ${rehearsed.migration.name}`,
        target,
        detail: describeRehearsed(rehearsed, rehearsal.migrations.length),
      })),
      // What is lost comes first.
      warnings: [...rehearsal.warnings, ...diagnosis.warnings],
      facts: {
        backupId,
        systemIdentifier: diagnosis.systemIdentifier,
        files: pending.map(identityOf).join(),
        delta: rehearsal.deltaDigest,
      },
    };
  });

  await confirmLoss(run, rehearsal, target);
  await run.announce(
    `${pending.map(({ name }) => name).join(', ')} will be applied in ${target} as soon as no other run works on it.`,
  );
  const concern = await run.exclusively(
    target,
    async (fence) => {
      const found = await migrateProduction(run, diagnosis, rehearsal, { backupId, fence });
      await retainAfter(run, { ...place, backupId }, fence);
      return found;
    },
    diagnosis.fenceToken,
  );
  if (stagingFence !== undefined && staging !== undefined && stagingBackup !== undefined)
    await retainAfter(run, { ...staging, backupId: stagingBackup }, stagingFence);
  return concern;
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

/** Nobody has seen the plan of an unattended run: what is lost for good is for a person to say. */
async function confirmLoss(run: Run, rehearsal: Rehearsal, target: string): Promise<void> {
  const lost = lostForGood(rehearsal);
  if (run.policy.mode !== 'auto' || lost.length === 0) return;
  const what = lost.map(
    ({ migration, contents }) => `${migration.name} takes away ${describeLosses(contents)}`,
  );
  const choice = await run.ask(
    `In ${target} ${what.join('; ')}, and no down script gives that back. Apply ${lost.length === 1 ? 'it' : 'them'}?`,
    ['apply', { harmless: 'stop' }],
  );
  if (choice === 'stop') run.reject('decided not to lose this data');
}

function describeRehearsed({ migration, up, back }: Rehearsed, count: number): string {
  const locks = describeLocks(up.locks);
  return [
    `SHA-256 ${migration.sha256.slice(0, 12)}`,
    `${countOf(up.statements, 'statement')}, rehearsed in ${duration(up.durationMs)}`,
    ...(locks === '' ? [] : [`on the clone it took ${locks}`]),
    `way back: ${describeBack(back)}`,
    ...describeSql(migration, count),
  ].join('; ');
}

function describeBack(back: Back): string {
  switch (back.kind) {
    case 'down':
      return back.writes ? 'down script, which asks' : 'down script, which lost nothing on the clone';
    case 'restore':
      return `restore, which asks: ${back.why}`;
    case 'unrehearsed':
      return 'down script or restore, which asks';
  }
}
