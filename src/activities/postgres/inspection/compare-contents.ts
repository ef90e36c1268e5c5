import { countOf } from '../../../contract/text';
import { LISTED, type ContentsDelta, type Lost } from '../../../contract/contents';

/** One column of a table: what of it is there. Generated columns are not looked at: they follow from the others. */
export interface ColumnContents {
  number: number;
  type: string;
  /** Values that are not NULL. */
  values: number;
  /** Sum of the hashes of its values; null where the table is too large for that. */
  digest: string | null;
}

export interface TableContents {
  name: string;
  /** Name of the partitioned table at its top; its own name where it has none. */
  root: string;
  rows: number;
  digest: string | null;
  columns: Record<string, ColumnContents>;
  /** Where its rows lie: another file means that it was rewritten or truncated. */
  file: string;
  /** Rows that were ever inserted, updated and deleted, as the server has counted them. */
  inserted: number;
  updated: number;
  deleted: number;
}

/** What a database holds, except for the rows themselves. Tables and sequences by their OIDs. */
export interface Contents {
  /** When the server was started: its counters begin anew with it. */
  serverStarted: string;
  tables: Record<string, TableContents>;
  sequences: Record<string, { name: string; last: number | null }>;
  largeObjects: { count: number; changes: number };
}

/** What of `before` is gone or different in `after`, and what came to it. */
export function compareContents(before: Contents, after: Contents): ContentsDelta {
  const counted = before.serverStarted === after.serverStarted;
  const groups = changedTrees(before, after);
  const lost = groups.flatMap((group) => lostOf(group, counted));
  lost.push(...lostSequences(before, after));
  if (lostLargeObjects(before, after, counted)) lost.push({ kind: 'large objects', what: '', count: null });
  const gained = groups.flatMap(gainedOf);
  return {
    lost: lost.slice(0, LISTED),
    more: Math.max(0, lost.length - LISTED),
    gained: gained.slice(0, LISTED),
  };
}

/** Whether that table can have no other rows: nobody has written to it since, in this life of the server. */
export function isUntouched(was: TableContents, now: Omit<TableContents, 'rows' | 'digest'>): boolean {
  const columns = (one: Pick<TableContents, 'columns'>) =>
    JSON.stringify(Object.entries(one.columns).map(([name, { number, type }]) => [name, number, type]));
  return (
    was.file === now.file &&
    was.inserted === now.inserted &&
    was.updated === now.updated &&
    was.deleted === now.deleted &&
    columns(was) === columns(now)
  );
}

/** A table, or what changed among the partitions of one: what left one and came to another is not lost. */
interface Tree {
  name: string;
  was: TableContents[];
  is: TableContents[];
  /** The table, or some partition of it, is there. */
  there: boolean;
}

function changedTrees(before: Contents, after: Contents): Tree[] {
  const trees = new Map<string, Tree>();
  const roots = new Set(Object.values(after.tables).map(({ root }) => root));
  const treeOf = (name: string) => {
    const tree = trees.get(name) ?? { name, was: [], is: [], there: roots.has(name) };
    trees.set(name, tree);
    return tree;
  };
  const named = new Map(Object.values(after.tables).map((table) => [table.name, table]));
  const met = new Set<TableContents>();
  for (const [oid, was] of Object.entries(before.tables)) {
    // A table that was made anew under the old name stands for it.
    const is = after.tables[oid] ?? named.get(was.name);
    if (is !== undefined) met.add(is);
    if (is !== undefined && sameRows(was, is)) continue;
    const tree = treeOf(was.root);
    tree.was.push(was);
    if (is !== undefined) tree.is.push(is);
  }
  for (const is of Object.values(after.tables)) if (!met.has(is)) treeOf(is.root).is.push(is);
  return [...trees.values()];
}

function sameRows(was: TableContents, is: TableContents): boolean {
  if (was.rows !== is.rows) return false;
  if (was.digest === null || is.digest === null) return isUntouched(was, is);
  return was.digest === is.digest && Object.keys(was.columns).join() === Object.keys(is.columns).join();
}

function lostOf({ name, was, is, there }: Tree, counted: boolean): Lost[] {
  const rows = sum(was, 'rows');
  if (rows === 0) return [];
  if (is.length === 0) return [{ kind: there ? 'rows' : 'table', what: name, count: rows }];
  const lost: Lost[] = [];
  const columns = pairColumns(was, is);
  for (const { from, to, values } of columns)
    if (to === undefined && values > 0) lost.push({ kind: 'column', what: `${name}.${from}`, count: values });
  const gone = rows - sum(is, 'rows');
  const changed = columns.filter(({ to, same }) => to !== undefined && same !== true);
  // With rows come or gone every sum is another one: what was done to those that stayed, only the server has counted.
  const deleted = counted ? Math.max(0, sum(is, 'deleted') - sum(was, 'deleted')) : 0;
  const updated = counted ? Math.max(0, sum(is, 'updated') - sum(was, 'updated')) : null;
  const sums = changed.every(({ same }) => same === false);
  if (gone === 0 && sums) {
    const others = changed.length > 0 ? changed : permuted(columns, was, is);
    const written = updated === null ? 0 : updated + deleted;
    const count = Math.min(rows, Math.max(written, ...others.map(({ missing = 0 }) => missing)));
    if (others.length > 0)
      lost.push({ kind: 'values', what: listed(name, others), count: count === 0 ? null : count });
    return lost;
  }
  // Of partitions, what was deleted in one may have come to another.
  const removed = was.length === 1 ? Math.max(gone, Math.min(deleted, rows)) : gone;
  if (removed > 0) lost.push({ kind: 'rows', what: name, count: removed });
  if (updated === null || updated > 0)
    lost.push({ kind: 'values', what: name, count: updated === null ? null : Math.min(updated, rows) });
  return lost;
}

/** All columns, where each has its values still, but not in the same rows. */
function permuted(columns: Pair[], was: TableContents[], is: TableContents[]): Pair[] {
  const [before, after] = [was[0], is[0]];
  if (was.length > 1 || is.length > 1 || before === undefined || after === undefined) return [];
  const comparable = Object.keys(before.columns).join() === Object.keys(after.columns).join();
  return comparable && before.digest !== after.digest ? columns : [];
}

const NAMED = 5;

function listed(table: string, columns: { from: string }[]): string {
  const names = columns.slice(0, NAMED).map(({ from }) => from);
  const more = columns.length > NAMED ? ` and ${columns.length - NAMED} more` : '';
  return `${table} (${names.join(', ')}${more})`;
}

interface Pair {
  from: string;
  /** Undefined where it is gone. */
  to?: string;
  values: number;
  /** Values that are NULL now. */
  missing?: number;
  /** Whether it has the same values; undefined where that cannot be told. */
  same?: boolean;
}

/** Columns by name, and one that was renamed by its number. */
function pairColumns(was: TableContents[], is: TableContents[]): Pair[] {
  const [before, after] = [addColumns(was), addColumns(is)];
  return Object.entries(before).map(([from, column]) => {
    const byNumber = Object.entries(after).find(
      ([name, { number }]) => number === column.number && !(name in before) && was.length === is.length,
    );
    const to = from in after ? from : byNumber?.[0];
    if (to === undefined) return { from, values: column.values };
    const { digest, values } = after[to]!;
    const pair = { from, to, values: column.values, missing: Math.max(0, column.values - values) };
    if (digest === null || column.digest === null) return pair;
    return { ...pair, same: digest === column.digest && values === column.values };
  });
}

function addColumns(tables: TableContents[]): Record<string, ColumnContents> {
  const all: Record<string, ColumnContents> = {};
  for (const { columns } of tables)
    for (const [name, column] of Object.entries(columns)) {
      const sofar = all[name];
      all[name] =
        sofar === undefined
          ? column
          : {
              ...sofar,
              values: sofar.values + column.values,
              digest:
                sofar.digest === null || column.digest === null
                  ? null
                  : String(BigInt(sofar.digest) + BigInt(column.digest)),
            };
    }
  return all;
}

function gainedOf({ name, was, is }: Tree): string[] {
  const more = sum(is, 'rows') - sum(was, 'rows');
  if (more <= 0) return [];
  const rows = countOf(more, 'row');
  return [was.length === 0 ? `table ${name} with ${rows}` : `${rows} in ${name}`];
}

function lostSequences(before: Contents, after: Contents): Lost[] {
  return Object.entries(before.sequences).flatMap(([oid, was]) => {
    const is = after.sequences[oid];
    if (is === undefined || was.last === null || (is.last ?? 0) >= was.last) return [];
    return [{ kind: 'sequence' as const, what: was.name, count: null }];
  });
}

function lostLargeObjects(before: Contents, after: Contents, counted: boolean): boolean {
  if (before.largeObjects.count === 0) return false;
  if (after.largeObjects.count < before.largeObjects.count) return true;
  return !counted || after.largeObjects.changes > before.largeObjects.changes;
}

function sum(tables: TableContents[], key: 'rows' | 'updated' | 'deleted'): number {
  return tables.reduce((total, table) => total + table[key], 0);
}
