import type { BackupListEntry } from '../../../contract/backup';
import type { Violation } from '../../../contract/corruption';
import { type DatabaseRef, type Place, type ScratchRef, targetOf } from '../../../contract/place';
import type { InvariantResult } from '../../../contract/migration';
import { databaseIn } from '../../../contract/place';
import { chooseBackup, describeAge, isRecoveryPoint } from '../../database/choose-backup';
import { nameForRun } from '../../database/names';
import { listBackups, obtainBackup } from '../../database/obtain-backup';
import { onScratchCopy } from '../../database/scratch-copy';
import { describeShrunk } from '../../database/take-backup';
import type { Run } from '../../kit';

/** What is known to be wrong in the live database, without a backup to compare it with. */
export interface Damage {
  violations: Violation[];
  invariants: InvariantResult[];
  amcheck: boolean;
}

/** A backup that is well, and its copy. */
export interface Well {
  backup: BackupListEntry;
  copy: ScratchRef;
}

export async function findDamage(run: Run, place: Place): Promise<Damage> {
  const database = databaseIn(place);
  const { violations, amcheck } = await readViolations(run, targetOf(place), database);
  const invariants = await run.step('Invariants', (act) => act.checkInvariants({ database }), {
    kind: 'long',
    undo: 'read-only',
    describe: (all) => brokenText(all) ?? `${all.length} hold`,
  });
  return { violations, invariants: invariants.filter(({ ok }) => !ok), amcheck };
}

function readViolations(run: Run, where: string, database: DatabaseRef) {
  return run.step(`Look for broken rules in ${where}`, (act) => act.findViolations({ database }), {
    kind: 'long',
    undo: 'read-only',
    describe: ({ violations }) => violationsText(violations) ?? 'none is broken',
  });
}

/** Newest first: the newest one that is whole, keeps the rules, and has not lost rows already. */
export async function searchBackup(
  run: Run,
  place: Place,
  { recoveryPoint, backups }: { recoveryPoint: string; backups: number },
  passed: string[],
): Promise<Well | undefined> {
  const all = await listBackups(run, place, recoveryPoint);
  const newestFirst = all.filter(isRecoveryPoint).sort((a, b) => (a.snapshotAt < b.snapshotAt ? 1 : -1));
  const chosen =
    recoveryPoint === 'latest' ? newestFirst.slice(0, backups) : [chooseBackup(all, recoveryPoint)];
  for (const backup of chosen) {
    const { backupId } = backup;
    // A person who names it knows of that.
    const shrunk = recoveryPoint === 'latest' ? describeShrunk(backup) : undefined;
    const well = shrunk === undefined ? await tryBackup(run, place, backup) : { why: shrunk };
    if (typeof well !== 'string' && 'copy' in well) return well;
    passed.push(`${backupId}: ${well.why}`);
    run.note(`Passed over: ${describeAge(backup)}`, well.why, { failed: true });
  }
  return undefined;
}

async function tryBackup(run: Run, place: Place, backup: BackupListEntry): Promise<Well | { why: string }> {
  let copy: ScratchRef | undefined;
  const { ok, why } = await run.attempt(async () => {
    await obtainBackup(run, backup);
    const { database } = await onScratchCopy(run, place, backup.backupId, async (restored) => restored);
    copy = database;
    await run.verify(
      `${backup.backupId} keeps the rules`,
      (act) => act.findViolations({ database }),
      ({ violations }) => {
        const broken = violationsText(violations);
        return { ok: broken === undefined, detail: broken ?? 'none is broken' };
      },
    );
  });
  if (ok && copy !== undefined) return { backup, copy };
  // The next one is restored under the same name.
  await run.attempt(() =>
    run.step('Drop its copy', (act) => act.dropScratch({ scratch: nameForRun() }), {
      kind: 'mutate',
      undo: 'disposable',
    }),
  );
  return { why };
}

const NAMED = 10;

export function violationsText(violations: Violation[]): string | undefined {
  if (violations.length === 0) return undefined;
  const named = violations
    .slice(0, NAMED)
    .map(({ name, table, rows, problem }) =>
      problem === undefined ? `${name}: ${rows} rows of ${table}` : `${name} (${table}): ${problem}`,
    );
  const more = violations.length > NAMED ? `; ${violations.length - NAMED} more` : '';
  return `${named.join('; ')}${more}`;
}

export function brokenText(invariants: InvariantResult[]): string | undefined {
  const broken = invariants.filter(({ ok }) => !ok);
  if (broken.length === 0) return undefined;
  return broken
    .map(({ name, violations, sample }) => `${name}: ${violations} violations, e.g. ${sample}`)
    .join('; ');
}
