import { type DatabaseRef, placeOf, targetOf } from '../../../contract/place';
import type { Run } from '../../kit';
import { invariantsHold } from '../checks';
import { nameForRun } from '../names';
import type { Target } from './apply';
import { isAsBefore } from './rehearse';
import type { TakingBack } from './take-back';

/**
 * Remembers the schema before anything is applied; where the run goes back, it is compared once everything is taken back. To
 * be called before the first way back is registered. Returns under which name it is remembered.
 */
export async function checkingBack(
  run: Run,
  { database, fence, where }: Target,
  back: TakingBack,
): Promise<string> {
  const id = nameForRun();
  await run.step(`Save the schema of ${where}`, (act) => act.saveSchema({ database, id, fence }), {
    describe: ({ objects, digest }) => `${objects} objects, ${digest.slice(0, 12)}`,
  });
  // A restored database deparses some old definitions differently; its own validation is the check then.
  run.undo(`Check that ${where} is as before`, async () => back.restored() || checkBack(run, database, id));
  return id;
}

/** Rows are not counted: people write meanwhile. That the same way back lost none was seen on the clone. */
async function checkBack(run: Run, database: DatabaseRef, id: string): Promise<void> {
  const where = targetOf(placeOf(database));
  await run.verify(
    `Schema of ${where} after going back`,
    (act) => act.diffSchema({ database, id }),
    isAsBefore,
  );
  await run.verify(
    `Invariants of ${where} after going back`,
    (act) => act.checkInvariants({ database }),
    invariantsHold,
  );
}
