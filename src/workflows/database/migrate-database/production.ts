import { type Run } from '../../kit';
import type { Diagnosis } from './diagnose';
import { applyTitle, applyTo, isApplied, isAsBefore, type Rehearsal } from './rehearse';
import { invariantsHold, verifyHealth } from '../checks';
import { describeLive, lossText, readLoss } from '../loss';
import { nameForRun } from '../names';
import { describeReplication } from '../replication';
import { takeOver } from '../take-over';
import { deltasAgree } from '../../../contract/schema-delta';
import { databaseIn, type DatabaseRef, type Fence, type Place, targetOf } from '../../../contract/place';
import type { Migration } from '../../../contract/migration';

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
  const database = databaseIn(place);
  const where = targetOf(place);
  const id = nameForRun();
  await run.step(`Save the schema of ${where}`, (act) => act.saveSchema({ database, id, fence }), {
    describe: ({ objects, digest }) => `${objects} objects, ${digest.slice(0, 12)}`,
  });

  // A restored database deparses some old definitions differently; its own validation is the check then.
  let restored = false;
  run.undo(`Check that ${where} is as before`, async () => restored || checkBack(run, place, database, id));
  let blockedMs = 0;
  for (const migration of pending) {
    const back = async () => {
      const way = await takeBack(run, diagnosis, { migration, backupId, fence });
      restored = way === 'restored' || restored;
    };
    const result = await applyTo(run, diagnosis, {
      database,
      migration,
      fence,
      where,
      direction: 'up',
      undo: { title: `Take ${migration.name} back from ${where}`, back },
    });
    blockedMs += result.totalBlockMs;
    run.fact('othersBlockedAtMostMs', Math.round(blockedMs));
  }

  await run.verify(
    'The schema changed as rehearsed',
    (act) => act.diffSchema({ database, id }),
    (delta) => {
      const differences = deltasAgree(rehearsal.delta, delta);
      return { ok: differences.length === 0, detail: differences.join('; ') || 'same delta as on the clone' };
    },
  );
  await run.verify(
    `Invariants of ${where}`,
    (act) => act.checkInvariants({ database, service: place.service }),
    invariantsHold,
  );
  await verifyHealth(run, place);
  await run.soak(`Error rate of ${where}`, (act) => act.readErrorRate(place), {
    forMs: run.policy.soakMs,
    everyMs: run.policy.soakEveryMs,
  });
}

interface TakeBack extends Context {
  migration: Migration;
}

/** The least destructive way that works: nothing to undo, else the down script, else a restore. The last two ask where writes would be lost. */
async function takeBack(
  run: Run,
  diagnosis: Diagnosis,
  { migration, backupId, fence }: TakeBack,
): Promise<'nothing to undo' | 'down' | 'restored'> {
  const { place } = diagnosis;
  const where = targetOf(place);
  const apply = { database: databaseIn(place), migration, fence, where };
  // The transaction was aborted, or never began.
  if (!(await isApplied(run, apply))) return 'nothing to undo';
  if (migration.downSha256 === null) {
    await restoreInstead(run, place, { backupId, fence, migration });
    return 'restored';
  }
  if (migration.downDestroysData) {
    const choice = await run.ask(
      `${migration.name} must go back from ${where}, and its down script removes or rewrites data, including what was written since. Run it?`,
      ['run the down script', 'leave it to me'],
    );
    if (choice !== 'run the down script') run.needsHuman(`${migration.name} stays on ${where}, as decided`);
  }
  const undo = { takesBack: applyTitle(migration.name, where) };
  await applyTo(run, diagnosis, { ...apply, direction: 'down', undo });
  return 'down';
}

async function restoreInstead(
  run: Run,
  place: Place,
  { backupId, fence, migration }: TakeBack,
): Promise<void> {
  const where = targetOf(place);
  const live = await run.step(`Look at what there is of ${where}`, (act) => act.inspectLive(place), {
    kind: 'long',
    undo: 'read-only',
    describe: describeLive,
  });
  const loss = await readLoss(run, place, live, backupId);
  const moved = live.replication === undefined ? undefined : describeReplication(live.replication);
  const choice = await run.ask(
    `${migration.name} has no down script. Restoring ${where} from ${backupId} ${lossText(loss, loss.lost?.since)} (an upper bound)${moved === undefined ? '' : `; ${moved}`}. Restore?`,
    ['restore', 'leave it to me'],
  );
  if (choice !== 'restore')
    run.needsHuman(`${migration.name} stays on ${where}, as decided; its backup is ${backupId}`);
  // The loss was estimated before the writes stopped, so even none is not for sure.
  const loses = `${where} was restored from ${backupId}; writes since then are lost`;
  await takeOver(run, place, { backupId, fence, live, loss, loses });
}

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
