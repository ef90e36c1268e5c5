import type { Hazard } from '../../../contract/migration';
import { hazard } from './hazards';
import type { LedgerRow } from './ledger';
import type { AppliedEntry } from './ledger-state';
import type { Script } from './parse';
import type { MigrationFolder } from './script-files';

/** What the tool that was used before says is applied, by its name, its hash or its version; what our ledger knows it knows better. */
export function appliedByTool(folder: MigrationFolder, ledger: LedgerRow[], told: string[]): AppliedEntry[] {
  if (told.length === 0) return [];
  const [known, said] = [new Set(ledger.map(({ migration }) => migration)), new Set(told)];
  return folder.migrations
    .filter(({ name }) => !known.has(name))
    .map(({ name }) => ({ name, sha256: folder.up(name).sha256 }))
    .filter(({ name, sha256 }) => said.has(name) || said.has(sha256) || folder.isApplied(name, told));
}

/** What is neither applied nor asked for, and comes before something that is asked for. */
export function earlierThan(
  { migrations }: MigrationFolder,
  files: string[],
  applied: AppliedEntry[],
): string[] {
  const names = migrations.map(({ name }) => name);
  const last = names.findLastIndex((name) => files.includes(name));
  return names
    .slice(0, last + 1)
    .filter((name) => !files.includes(name) && !applied.some((one) => one.name === name));
}

interface Order {
  folder: MigrationFolder;
  applied: AppliedEntry[];
}

/** Whether something that comes later is applied already, and whether names and numbers agree. */
export function outOfOrder(script: Script, name: string, { folder, applied }: Order): Hazard[] {
  const names = folder.migrations.map((one) => one.name);
  const at = names.indexOf(name);
  const later = applied.filter((one) => names.indexOf(one.name) > at);
  const hazards =
    later.length === 0
      ? []
      : [
          hazard(
            script,
            undefined,
            'warning',
            'out-of-order',
            `${later.at(-1)?.name} was already applied, and it comes later`,
          ),
        ];
  const before = names[at - 1];
  if (before === undefined || !(numberOf(before) > numberOf(name))) return hazards;
  const why = `by its name it comes after ${before}; write both numbers with the same number of digits`;
  return [...hazards, hazard(script, undefined, 'warning', 'name-order', why)];
}

/** A file that was renamed, or a folder that is laid out anew. */
export function appliedBefore(script: Script, sha256: string, applied: AppliedEntry[]): Hazard[] {
  const same = applied.find((one) => one.sha256 === sha256);
  if (same === undefined) return [];
  const why = `this very script is applied already, under the name ${same.name}`;
  return [hazard(script, undefined, 'warning', 'applied-before', why)];
}

/** The number that a name begins with; NaN, which is neither more nor less than any, where it has none. */
function numberOf(name: string): number {
  return Number.parseInt(/^\d+/.exec(name)?.[0] ?? '', 10);
}
