import type { Comparison, TableComparison } from '../../../contract/corruption';
import { type Place, targetOf } from '../../../contract/place';
import { describeAge } from '../../database/choose-backup';
import { digest, utc, type PlanDraft } from '../../kit';
import { brokenText, violationsText, type Damage, type Well } from './search';

/** Everything that the plan is made of. */
export interface Case {
  place: Place;
  damage: Damage;
  well: Well;
  comparison: Comparison;
  /** Newer backups that are not well, and why. */
  passed: string[];
  unchecked: string[];
}

export function draftOf(one: Case): PlanDraft {
  const { place, well, comparison, passed, unchecked, damage } = one;
  const target = targetOf(place);
  const { backup } = well;
  const broken = [violationsText(damage.violations), brokenText(damage.invariants)].filter(
    (part) => part !== undefined,
  );
  return {
    actions: [
      { action: 'stop writes', target },
      ...comparison.tables.map((table) => ({
        action: 'bring rows back',
        target: `${target}: ${table.table}`,
        count: table.missing + table.wrong,
        detail: tableText(table),
      })),
      { action: 'verify, and resume writes', target },
    ],
    warnings: [
      `from ${describeAge(backup)}: rows that were deleted on purpose since ${utc(backup.snapshotAt)} UTC come back as well; recovery.corruption.leaveOut names the tables of which rows are deleted`,
      'rows that keep the rules stay as they are, also where they differ from the backup, and so do newer ones',
      'writes stop meanwhile: by restore.stopWrites, or, where none is configured, by making the database read-only',
      ...(broken.length === 0
        ? ['no rule is known to be broken: rows are only missing']
        : broken.map((text) => `broken: ${text}`)),
      ...passed.map((text) => `newer, and not well: ${text}`),
      ...comparison.left.map(({ table, why }) => `left to a person: ${table}: ${why}`),
      ...(damage.amcheck
        ? []
        : ['damage of indexes was not looked for: the extension amcheck is not installed']),
      ...comparison.warnings,
      ...unchecked,
    ],
    facts: { backup: backup.backupId, manifest: backup.manifestSha256, rows: digest(comparison.rows) },
  };
}

export function tableText({ missing, wrong, newer }: TableComparison): string {
  return `${missing} missing, ${wrong} put back as they were; ${newer} newer than the backup stay`;
}

export function comparisonText({ tables, tooMany, maxRows }: Comparison): string {
  if (tooMany) return `more than ${maxRows} rows are missing or broken`;
  if (tables.length === 0) return 'nothing is missing, and nothing broken is otherwise there';
  return tables.map((one) => `${one.table}: ${tableText(one)}`).join('; ');
}
