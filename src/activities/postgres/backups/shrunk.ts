import type { BackupSummary } from '../../../contract/backup';
import { countOf } from '../../../contract/text';
import type { Manifest, ShrunkTable, TableEntry } from './manifest';

/** How many are named to workflows; the manifest has all. */
const NAMED = 20;

/** Tables that had rows in the backup before and now have less than half of them, none, or are gone. */
export function shrunkSince(before: Pick<Manifest, 'tables'>, tables: TableEntry[]): ShrunkTable[] {
  const now = new Map(tables.map((table) => [nameOf(table), table.rows]));
  return before.tables
    .filter(({ schema }) => schema !== 'durable_runbooks')
    .map((table) => ({
      table: nameOf(table),
      rows: now.get(nameOf(table)) ?? null,
      before: table.rows,
    }))
    .filter((table) => table.before > 0 && (table.rows ?? 0) < table.before / 2)
    .sort((a, b) => b.before - (b.rows ?? 0) - (a.before - (a.rows ?? 0)));
}

/** In words, the greatest losses first. Nothing where no table shrank, or none was compared. */
export function summaryOfShrunk(
  shrunk: ShrunkTable[] | undefined,
): Pick<BackupSummary, 'shrunk' | 'shrunkTables'> {
  if (shrunk === undefined || shrunk.length === 0) return {};
  return { shrunk: shrunk.slice(0, NAMED).map(describe), shrunkTables: shrunk.length };
}

function describe({ table, rows, before }: ShrunkTable): string {
  if (rows === null) return `${table} is gone (${countOf(before, 'row')} before)`;
  return `${table} ${rows === 0 ? 'is empty' : `has ${countOf(rows, 'row')}`} (${countOf(before, 'row')} before)`;
}

function nameOf({ schema, name }: TableEntry): string {
  return `${schema}.${name}`;
}
