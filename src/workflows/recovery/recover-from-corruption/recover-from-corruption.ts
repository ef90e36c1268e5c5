import { ApplicationFailure } from '@temporalio/workflow';
import type { Repaired } from '../../../activities/postgres/repair/batches';
import type { Comparison, Violation } from '../../../contract/corruption';
import { databaseIn, type Fence, type Place, targetOf } from '../../../contract/place';
import { leftText, putBack, repairKey } from '../../bookings/take-back';
import { invariantsHold, uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { describeAge } from '../../database/choose-backup';
import { writersOf } from '../../database/writers';
import { countOf, type Run, runbook, utc } from '../../kit';
import type { recoverFromCorruptionCard } from './card';
import { comparisonText, draftOf, type Case } from './plan';
import { brokenText, findDamage, searchBackup, violationsText, type Damage, type Well } from './search';

const BRING_BACK = 'Bring the rows back';

/** Brings back what was lost or spoiled, row by row, from the newest backup in which it is well. */
export const recoverFromCorruption = runbook<typeof recoverFromCorruptionCard>(
  'recoverFromCorruption',
  async ({ service, environment, recoveryPoint, backups }, run) => {
    const place = { service, environment };
    const target = targetOf(place);
    // Writes go on until people have agreed: to restore a copy may take hours.
    let damage = await findDamage(run, place);
    const passed: string[] = [];
    const well = await searchBackup(run, place, { recoveryPoint, backups }, passed);
    if (well === undefined) return noBackup(run, target, damage, passed);
    run.fact('wellIn', describeAge(well.backup));
    let comparison = await compare(run, place, well);
    const unchecked = await uncheckedOf(run, place);
    let stale = false;
    await run.gate(async () => {
      if (stale) [damage, comparison] = [await findDamage(run, place), await compare(run, place, well)];
      stale = true;
      stopWhereNothingCanBeDone(run, target, damage, comparison);
      return draftOf({ place, damage, well, comparison, passed, unchecked });
    });
    const one: Case = { place, damage, well, comparison, passed, unchecked };
    const repaired = await run.exclusively(target, (fence) => repair(run, one, fence), comparison.fenceToken);
    return conclude(run, one, repaired);
  },
);

function compare(run: Run, place: Place, { copy, backup }: Well): Promise<Comparison> {
  return run.step(`Compare with ${backup.backupId}`, (act) => act.compareWithCopy({ ...place, copy }), {
    kind: 'long',
    undo: 'read-only',
    describe: comparisonText,
  });
}

function damageText({ violations, invariants }: Damage): string | undefined {
  const parts = [violationsText(violations), brokenText(invariants)].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join('; ');
}

function noBackup(run: Run, target: string, damage: Damage, passed: string[]): never {
  const found =
    damageText(damage) ?? 'no rule is broken, and what is missing cannot be told without a backup';
  const tried =
    passed.length === 0 ? 'there is no complete backup' : `no backup is well: ${passed.join('; ')}`;
  return run.needsHuman(
    `${target}: ${found}; ${tried}. Nothing was changed. Name an older one with recoveryPoint, or try more with backups; look for snapshots of the provider`,
  );
}

function stopWhereNothingCanBeDone(run: Run, target: string, damage: Damage, comparison: Comparison): void {
  const { rows, tooMany, maxRows, left } = comparison;
  if (tooMany)
    throw ApplicationFailure.nonRetryable(
      `${comparisonText(comparison)} in ${target}, more than one run may touch (recovery.corruption.maxRows: ${maxRows}). Nothing was changed. restoreDatabase brings back all of it.`,
      'TooManyTargets',
    );
  if (rows.length > 0) return;
  const found = damageText(damage);
  const leftOut = left.map(({ table, why }) => `${table}: ${why}`).join('; ');
  if (found === undefined)
    return run.nothingToDo(
      `no rule of ${target} is broken, and no row of the backup is missing${leftOut === '' ? '' : `; not compared: ${leftOut}`}`,
    );
  throw ApplicationFailure.nonRetryable(
    `${target}: ${found}; no row of the backup mends that${leftOut === '' ? '' : ` (${leftOut})`}. Nothing was changed: a person has to look at it, or restoreDatabase brings back all of an older state.`,
    'NotMendable',
  );
}

async function repair(run: Run, one: Case, fence: Fence): Promise<Repaired> {
  const { place, well, comparison } = one;
  const target = targetOf(place);
  const live = await run.step('Look at the database', (act) => act.inspectLive({ ...place, briefly: true }), {
    describe: ({ condition }) => condition,
  });
  const writers = writersOf(run, { place, fence, live });
  await run.announce(
    `Maintenance: rows of ${target} are brought back; no writes are taken until that is done.`,
  );
  await writers.stop();
  await writers.verifyStopped();
  const change = { ...place, run: repairKey(), fence };
  const repaired = await run.step(
    BRING_BACK,
    (act) => act.bringBackRows({ ...change, copy: well.copy, rows: comparison.rows }),
    {
      kind: 'mutate',
      undo: {
        title: 'Take the rows back',
        back: () => putBack(run, { title: BRING_BACK, noun: 'row' }, (act) => act.undoBringBack(change)),
      },
      describe: ({ done, left }) =>
        `${countOf(done, 'row')}${left.length === 0 ? '' : `; left alone: ${leftText(left)}`}`,
    },
  );
  await verifyData(run, one, repaired);
  await writers.resume();
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  await run.announce(`${countOf(repaired.done, 'row')} of ${target} are back, and it takes writes again.`);
  return repaired;
}

/** Rules that were not to be mended may stay broken, but no more than they were. */
async function verifyData(run: Run, { place, damage, comparison }: Case, { left }: Repaired): Promise<void> {
  const database = databaseIn(place);
  const unmended = new Set([
    ...comparison.left.map(({ table }) => table),
    ...comparison.rows
      .filter(({ table, key }) => left.some(({ unit }) => unit === `${table} ${key}`))
      .map(({ table }) => table),
  ]);
  // Names of constraints are those of a table alone.
  const keyOf = ({ name, table }: Violation) => JSON.stringify([table, name]);
  const before = new Map(damage.violations.map((one) => [keyOf(one), one]));
  const mayStay = (found: Violation): boolean => {
    const { table, rows, problem } = found;
    const was = before.get(keyOf(found));
    if (was === undefined) return false;
    return problem === undefined ? unmended.has(table) && rows <= was.rows : was.problem !== undefined;
  };
  await run.verify(
    'The rules are kept again',
    (act) => act.findViolations({ database }),
    ({ violations }) => {
      const broken = violationsText(violations.filter((found) => !mayStay(found)));
      const stays = violationsText(violations.filter(mayStay));
      return {
        ok: broken === undefined,
        detail: broken ?? (stays === undefined ? 'none is broken' : `stays: ${stays}`),
      };
    },
  );
  const known = new Map(damage.invariants.map((one) => [one.name, one.violations]));
  await run.verify(
    'Invariants',
    (act) => act.checkInvariants({ database }),
    (all) => {
      const worse = all.filter(
        ({ ok, name, violations }) => !ok && (unmended.size === 0 || violations > (known.get(name) ?? -1)),
      );
      return worse.length === 0
        ? { ok: true, detail: brokenText(all) ?? `${all.length} hold` }
        : invariantsHold(worse);
    },
  );
}

async function conclude(
  run: Run,
  { place, well, comparison }: Case,
  { done, left }: Repaired,
): Promise<string> {
  const target = targetOf(place);
  const damage = await findDamage(run, place);
  const still = damageText(damage);
  const since = `as they were at ${utc(well.backup.snapshotAt)} UTC`;
  const text = `${countOf(done, 'row')} of ${target} brought back ${since} (${comparisonText(comparison)})`;
  run.fact('rowsBroughtBack', done);
  if (left.length === 0 && still === undefined) return text;
  const rest = [
    left.length === 0 ? '' : `left alone: ${leftText(left)}`,
    still === undefined ? '' : `still broken: ${still}`,
  ].filter((part) => part !== '');
  throw ApplicationFailure.nonRetryable(
    `${text}; ${rest.join('; ')}. A person has to look at that`,
    'NotAllMended',
  );
}
