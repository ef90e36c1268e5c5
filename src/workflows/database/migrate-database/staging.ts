import { databaseIn, type Fence, type Place, targetOf } from '../../../contract/place';
import type { Migration } from '../../../contract/migration';
import type { Run } from '../../kit';
import { invariantsHold, verifyHealth, verifySmoke } from '../checks';
import { nameForRun } from '../names';
import { unrestorable } from '../prepare-restore';
import { takeBackup } from '../take-backup';
import { applyTo, type Target } from './apply';
import { checkingBack } from './check-back';
import type { Diagnosis } from './diagnose';
import type { Rehearsal } from './rehearse';
import { takingBack } from './take-back';

/**
 * The same on staging, where the application runs too. What staging lacked is taken back if production fails. Returns the
 * backup that was taken for that.
 */
export async function rehearseOnStaging(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  fence: Fence,
): Promise<string | undefined> {
  const { staging, pending } = diagnosis;
  if (staging === undefined) return undefined;
  const on: Target = { database: databaseIn(staging), fence, where: targetOf(staging) };
  const { pending: missing } = await run.step(`What ${on.where} lacks`, (act) =>
    act.readMigrations({ ...staging, files: pending.map(({ name }) => name) }),
  );
  const backupId = await backUpIfNeeded(run, staging, { missing, rehearsal, fence });
  const back = takingBack(run, diagnosis, rehearsal, {
    place: staging,
    migrations: missing,
    backupId,
    fence,
    suffix: '_staging',
  });
  if (missing.length > 0) await checkingBack(run, on, back);
  for (const migration of missing)
    await applyTo(run, diagnosis, { ...on, migration, direction: 'up', undo: back.of(migration) });
  await run.verify(
    `Invariants of ${on.where}`,
    (act) => act.checkInvariants({ database: on.database }),
    invariantsHold,
  );
  await verifyHealth(run, staging);
  await verifySmoke(run, staging);
  return backupId;
}

interface Needed {
  missing: Migration[];
  rehearsal: Rehearsal;
  fence: Fence;
}

/** Where a down script does not give everything back, only a restore does. */
async function backUpIfNeeded(
  run: Run,
  staging: Place,
  { missing, rehearsal, fence }: Needed,
): Promise<string | undefined> {
  const names = new Set(missing.map(({ name }) => name));
  const here = rehearsal.migrations.filter(({ migration }) => names.has(migration.name));
  if (here.every(({ back }) => back.kind === 'down')) return undefined;
  const backupId = `${nameForRun()}-staging`;
  await takeBackup(run, staging, backupId, fence, { mayBeEmpty: true });
  rehearsal.warnings.unshift(...(await unrestorable(run, staging, backupId)));
  return backupId;
}
