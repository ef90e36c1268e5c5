import type { DatabaseRef, Fence, Migration, SchemaFingerprint } from '../../activities/types';
import type { Run } from '../kit/run';
import type { Diagnosis } from './migrate-diagnose';
import { applyTo, isApplied, type Rehearsal } from './migrate-rehearse';
import { describeLoss, takeOver } from './restore-copy';
import { deltasAgree, schemaDelta } from './schema-delta';
import { databaseIn, invariantsHold, targetOf, verifyHealth, type Place } from './shared';

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
  const before = await run.step(`Schema of ${where} before`, (act) => act.fingerprintSchema({ database }));

  run.undos.push({
    title: `Check that ${where} is as before`,
    back: () => checkBack(run, place, database, before),
  });
  for (const migration of pending) {
    run.undos.push({
      title: `Take ${migration.name} back from ${where}`,
      back: () => takeBack(run, diagnosis, { migration, backupId, fence }),
    });
    const result = await applyTo(run, diagnosis, { database, migration, fence, where, direction: 'up' });
    run.fact(`blockedMs ${migration.name}`, Math.round(result.totalBlockMs));
  }

  await run.verify(
    'The schema changed as rehearsed',
    (act) => act.fingerprintSchema({ database }),
    (after) => {
      const differences = deltasAgree(rehearsal.delta, schemaDelta(before, after));
      return {
        ok: differences.length === 0,
        detail: differences.length === 0 ? 'same delta as on the clone' : differences.join('; '),
      };
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
): Promise<void> {
  const { place } = diagnosis;
  const where = targetOf(place);
  const apply = { database: databaseIn(place), migration, fence, where, direction: 'down' as const };
  if (migration.downSha256 === null) {
    if (!(await isApplied(run, apply))) return;
    return restoreInstead(run, place, { backupId, fence, migration });
  }
  if (migration.downDestroysData) {
    const choice = await run.ask(
      `${migration.name} must go back from ${where}, and its down script removes or rewrites data, including what was written since. Run it?`,
      ['run the down script', 'leave it to me'],
    );
    if (choice !== 'run the down script') run.needsHuman(`${migration.name} stays on ${where}, as decided`);
  }
  await applyTo(run, diagnosis, apply);
}

async function restoreInstead(
  run: Run,
  place: Place,
  { backupId, fence, migration }: TakeBack,
): Promise<void> {
  const where = targetOf(place);
  const lost = await run.step(
    'What would a restore lose?',
    (act) => act.estimateLostWrites({ ...place, backupId }),
    { describe: describeLoss },
  );
  const choice = await run.ask(
    `${migration.name} has no down script. Restoring ${where} from ${backupId} ${describeLoss(lost)} (an upper bound). Restore?`,
    ['restore', 'leave it to me'],
  );
  if (choice !== 'restore')
    run.needsHuman(`${migration.name} stays on ${where}, as decided; its backup is ${backupId}`);
  await takeOver(run, place, { backupId, fence });
}

async function checkBack(
  run: Run,
  place: Place,
  database: DatabaseRef,
  before: SchemaFingerprint,
): Promise<void> {
  await run.verify(
    `Schema of ${targetOf(place)} after going back`,
    (act) => act.fingerprintSchema({ database }),
    (after) => {
      const left = schemaDelta(before, after);
      const differences = [...Object.keys(left.added), ...left.removed, ...left.changed];
      return {
        ok: differences.length === 0,
        detail: differences.length === 0 ? 'as before' : `differs in ${differences.slice(0, 10).join(', ')}`,
      };
    },
  );
  await run.verify(
    `Invariants of ${targetOf(place)} after going back`,
    (act) => act.checkInvariants({ database, service: place.service }),
    invariantsHold,
  );
}
