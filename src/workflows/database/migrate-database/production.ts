import { deltasAgree, momentsIn } from '../../../contract/schema-delta';
import { databaseIn, type DatabaseRef, type Fence, type Place, targetOf } from '../../../contract/place';
import type { Run } from '../../kit';
import { invariantsHold, verifyHealth, verifySmoke } from '../checks';
import { nameForRun } from '../names';
import { applyTo, type Target } from './apply';
import type { Diagnosis } from './diagnose';
import { watchErrorRate } from './error-rate';
import { isAsBefore, type Rehearsal } from './rehearse';
import { takingBack } from './take-back';

interface Context {
  backupId: string;
  fence: Fence;
}

/** Applies what was rehearsed and checks that it did the same here. Each way back is registered before its step. */
export async function migrateProduction(
  run: Run,
  diagnosis: Diagnosis,
  rehearsal: Rehearsal,
  { backupId, fence }: Context,
): Promise<void> {
  const { place, pending } = diagnosis;
  const on: Target = { database: databaseIn(place), fence, where: targetOf(place) };
  const { database, where } = on;
  const id = nameForRun();
  await run.step(`Save the schema of ${where}`, (act) => act.saveSchema({ database, id, fence }), {
    describe: ({ objects, digest }) => `${objects} objects, ${digest.slice(0, 12)}`,
  });

  const back = takingBack(run, diagnosis, rehearsal, { place, migrations: pending, backupId, fence });
  // A restored database deparses some old definitions differently; its own validation is the check then.
  run.undo(
    `Check that ${where} is as before`,
    async () => back.restored() || checkBack(run, place, database, id),
  );
  const errorRateHolds = await watchErrorRate(run, place);
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
  await run.verify(
    `Invariants of ${where}`,
    (act) => act.checkInvariants({ database, service: place.service }),
    invariantsHold,
  );
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  await errorRateHolds();
}

/** Rows are not counted: people write meanwhile. That the same way back lost none was seen on the clone. */
async function checkBack(run: Run, place: Place, database: DatabaseRef, id: string): Promise<void> {
  const where = targetOf(place);
  await run.verify(
    `Schema of ${where} after going back`,
    (act) => act.diffSchema({ database, id }),
    isAsBefore,
  );
  await run.verify(
    `Invariants of ${where} after going back`,
    (act) => act.checkInvariants({ database, service: place.service }),
    invariantsHold,
  );
}
