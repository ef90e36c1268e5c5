import { countOf, duration } from '../../../contract/text';
import { digest, type Run, type Verdict, type WayBack } from '../../kit';
import type { Diagnosis } from './diagnose';
import { isOrder, touched, type SchemaDelta } from '../../../contract/schema-delta';
import { invariantsHold, verifyHealth } from '../checks';
import { nameForRun } from '../names';
import { takeBackup } from '../take-backup';
import { databaseIn, type DatabaseRef, type Fence, type Place, targetOf } from '../../../contract/place';
import type { ApplyResult, Migration } from '../../../contract/migration';

export interface Rehearsal {
  applied: ApplyResult[];
  /** What the migrations did to the clone's schema; production must show the same. */
  delta: SchemaDelta;
  deltaDigest: string;
  warnings: string[];
}

/** One migration, as a line of the timeline. */
export function describeApplied({
  alreadyDone,
  statements,
  durationMs,
  lockAttempts,
  totalBlockMs,
}: ApplyResult): string {
  if (alreadyDone) return 'already done';
  const locks = lockAttempts > 1 ? `, ${lockAttempts} tries for the lock` : '';
  return `${countOf(statements, 'statement')} in ${duration(durationMs)}${locks}, others blocked at most ${duration(totalBlockMs)}`;
}

/** Up, check, down, compare: on production's own data, in a cluster that can hurt nobody. */
export async function rehearseOnClone(
  run: Run,
  diagnosis: Diagnosis,
  clone: DatabaseRef,
): Promise<Rehearsal> {
  const { place, pending } = diagnosis;
  // Nobody else uses the clone, so its fence only has to be one that the copy accepts.
  const fence: Fence = { target: targetOf(place), token: Number.MAX_SAFE_INTEGER };
  const id = nameForRun();
  await run.step('Save the schema of the clone', (act) => act.saveSchema({ database: clone, id, fence }), {
    describe: ({ objects, digest }) => `${objects} objects, ${digest.slice(0, 12)}`,
  });
  const applied: ApplyResult[] = [];
  for (const migration of pending) {
    applied.push(
      await applyTo(run, diagnosis, {
        database: clone,
        migration,
        fence,
        where: 'the clone',
        direction: 'up',
        undo: 'disposable',
      }),
    );
  }
  const delta = await run.step(
    'What changed in its schema?',
    (act) => act.diffSchema({ database: clone, id }),
    {
      describe: (found) => `${touched(found).length} objects`,
    },
  );
  await run.verify(
    'Invariants on the clone',
    (act) => act.checkInvariants({ database: clone, service: place.service }),
    invariantsHold,
  );

  const reversible = pending.filter((migration) => migration.downSha256 !== null);
  for (const migration of [...reversible].reverse()) {
    await applyTo(run, diagnosis, {
      database: clone,
      migration,
      fence,
      where: 'the clone',
      direction: 'down',
      undo: 'disposable',
    });
  }
  const warnings: string[] = [];
  if (reversible.length === pending.length) {
    await run.verify(
      'The down scripts lead back',
      (act) => act.diffSchema({ database: clone, id }),
      isAsBefore,
    );
  } else {
    warnings.push('not every migration has a down script, so the way back could not be rehearsed');
  }
  return { applied, delta, deltaDigest: digestOf(delta), warnings };
}

/** An empty delta, but for the order of columns: one that was dropped can only come back as the last. */
export function isAsBefore(delta: SchemaDelta): Verdict {
  const [left, reordered] = [touched(delta).filter((name) => !isOrder(name)), touched(delta).filter(isOrder)];
  if (left.length === 0)
    return { ok: true, detail: ['the schema is as before', ...reordered].join(', but for the ') };
  return { ok: false, detail: `differs in ${left.slice(0, 10).join(', ')}` };
}

interface Target {
  database: DatabaseRef;
  migration: Migration;
  fence: Fence;
  where: string;
}

interface Apply extends Target {
  direction: 'up' | 'down';
  /** What becomes of it when the run fails. */
  undo: WayBack;
}

/** Title of the step that applies a migration. */
export const applyTitle = (name: string, where: string) => `Apply ${name} on ${where}`;

/** Applies one migration up or down. Idempotent: the ledger at the target knows what was done. */
export function applyTo(
  run: Run,
  { place, input }: Diagnosis,
  { database, migration, fence, where, direction, undo }: Apply,
): Promise<ApplyResult> {
  const { name } = migration;
  return run.step(
    direction === 'up' ? applyTitle(name, where) : `Undo ${name} on ${where}`,
    (act) =>
      act.applyMigration({
        service: place.service,
        database,
        migration: { name: migration.name, sha256: migration.sha256, downSha256: migration.downSha256 },
        direction,
        fence,
        allowRewrite: input.accept.includes('table-rewrite'),
      }),
    { kind: 'mutate', undo, describe: describeApplied },
  );
}

/** The same on staging, where the application runs too. What staging lacked is taken back if production fails. */
export async function rehearseOnStaging(run: Run, diagnosis: Diagnosis, fence: Fence): Promise<void> {
  const { staging, pending } = diagnosis;
  if (staging === undefined) return;
  const database = databaseIn(staging);
  const where = targetOf(staging);
  const { pending: missing } = await run.step(`What ${where} lacks`, (act) =>
    act.readMigrations({ ...staging, files: pending.map(({ name }) => name) }),
  );
  const backupId = await backUpStagingIfNeeded(run, staging, missing, fence);
  for (const migration of missing) {
    const apply = { database, migration, fence, where };
    await applyTo(run, diagnosis, {
      ...apply,
      direction: 'up',
      undo: {
        title: `Take ${migration.name} back from ${where}`,
        back: () => takeBack(run, diagnosis, apply, backupId),
      },
    });
  }
  await run.verify(
    `Invariants of ${where}`,
    (act) => act.checkInvariants({ database, service: staging.service }),
    invariantsHold,
  );
  await verifyHealth(run, staging);
  await run.verify(
    `Smoke test of ${where}`,
    (act) => act.runServiceCommand({ ...staging, command: 'smoke' }),
    ({ detail }) => ({ ok: true, detail }),
  );
}

async function backUpStagingIfNeeded(
  run: Run,
  staging: Place,
  missing: Migration[],
  fence: Fence,
): Promise<string | undefined> {
  if (missing.every(({ downSha256 }) => downSha256 !== null)) return undefined;
  const backupId = `${nameForRun()}-staging`;
  await takeBackup(run, staging, backupId, fence);
  return backupId;
}

async function takeBack(
  run: Run,
  diagnosis: Diagnosis,
  apply: Target,
  backupId: string | undefined,
): Promise<void> {
  if (apply.migration.downSha256 !== null) {
    const undo = { takesBack: applyTitle(apply.migration.name, apply.where) };
    await applyTo(run, diagnosis, { ...apply, direction: 'down', undo });
    return;
  }
  const applied = await isApplied(run, apply);
  if (applied)
    run.needsHuman(
      `${apply.migration.name} has no down script and stays on ${apply.where}; its backup is ${backupId}`,
    );
}

/** Whether the ledger of that database says so; an aborted transaction left nothing to undo. */
export async function isApplied(run: Run, { database, migration, where }: Target): Promise<boolean> {
  const ledger = await run.step(`Ledger of ${where}`, (act) => act.readLedger({ database }));
  return ledger.some(({ name, sha256 }) => name === migration.name && sha256 === migration.sha256);
}

/** In the shape of a plan's facts, as approvals in stored histories have it. */
function digestOf(delta: SchemaDelta): string {
  return digest({ actions: [], warnings: [], facts: { delta: JSON.stringify(delta) } });
}
