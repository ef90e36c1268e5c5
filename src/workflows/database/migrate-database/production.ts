import { ApplicationFailure } from '@temporalio/workflow';
import { deltasAgree, momentsIn } from '../../../contract/schema-delta';
import { databaseIn, type Fence, targetOf } from '../../../contract/place';
import type { Run } from '../../kit';
import { invariantsHold, verifyHealth, verifySmoke } from '../checks';
import { applyTo, readApplied, type Target } from './apply';
import type { Diagnosis } from './diagnose';
import { watchErrorLog } from './error-log';
import { watchErrorRate } from './error-rate';
import { checkingBack } from './check-back';
import type { Rehearsal } from './rehearse';
import { takingBack } from './take-back';

/** Names that stand in one sentence. */
const NAMED = 5;

interface Context {
  backupId: string;
  fence: Fence;
}

/**
 * Applies what was rehearsed and checks that it did the same here. Each way back is registered before its step. Returns what
 * people should look at although all that is checked holds; empty where there is nothing.
 */
export async function migrateProduction(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  { backupId, fence }: Context,
): Promise<string> {
  const { place, pending } = diagnosis;
  const on: Target = { database: databaseIn(place), fence, where: targetOf(place) };
  const { database, where } = on;
  await refuseIfApplied(run, rehearsal, on);
  const back = takingBack(run, diagnosis, rehearsal, { place, migrations: pending, backupId, fence });
  const id = await checkingBack(run, on, back);
  const errorRateHolds = await watchErrorRate(run, place);
  const newErrors = await watchErrorLog(run, place);
  let blockedMs = 0;
  for (const migration of pending) {
    const result = await applyTo(run, diagnosis, {
      ...on,
      migration,
      direction: 'up',
      undo: back.of(migration),
    });
    blockedMs += result.totalBlockMs;
    run.fact('othersBlockedAtMostMs', Math.round(blockedMs));
  }

  await run.verify(
    'The schema changed as rehearsed',
    (act) => act.diffSchema({ database, id }),
    (delta) => {
      const differences = deltasAgree(rehearsal.delta, delta);
      if (differences.length > 0) return { ok: false, detail: differences.join('; ') };
      const moments = momentsIn(rehearsal.delta, delta);
      const but =
        moments.length === 0 ? '' : `, but for the moment that was written down in ${moments.join(', ')}`;
      return { ok: true, detail: `same delta as on the clone${but}` };
    },
  );
  await run.verify(`Invariants of ${where}`, (act) => act.checkInvariants({ database }), invariantsHold);
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  await errorRateHolds();
  return newErrors();
}

/** Another run may have had the lease since the backup: neither the rehearsal nor a restore would know what it did. */
async function refuseIfApplied(run: Run, { appliedBefore }: Rehearsal, on: Target): Promise<void> {
  const now = await readApplied(run, on);
  const nameOf = (one: string) => one.replace(/:[0-9a-f]+(:begun)?$/, '');
  const others = [
    ...now.filter((one) => !appliedBefore.includes(one)).map((one) => `${nameOf(one)} was applied`),
    ...appliedBefore.filter((one) => !now.includes(one)).map((one) => `${nameOf(one)} was taken back`),
  ];
  if (others.length === 0) return;
  throw ApplicationFailure.nonRetryable(
    `on ${on.where} ${others.slice(0, NAMED).join(', ')} since the backup that was rehearsed on, by another run or by hand. ` +
      'Nothing was changed there. Start again to rehearse on what is there now.',
    'MigrationChanged',
  );
}
