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

export interface SequenceContents {
  name: string;
  last: number | null;
  /** OID of the table that it belongs to and goes with; null where it stands alone. */
  table: string | null;
}

/** What a database holds, except for the rows themselves. Tables and sequences by their OIDs. */
export interface Contents {
  /** When the server was started: its counters begin anew with it. */
  serverStarted: string;
  tables: Record<string, TableContents>;
  sequences: Record<string, SequenceContents>;
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
  /** Some of it has its rows in another file: it was truncated or written anew. */
  rewritten: boolean;
  /** Some of it is another table under the old name. */
  anew: boolean;
  /** What the server has counted in between. */
  inserted: number;
  updated: number;
  deleted: number;
}

function changedTrees(before: Contents, after: Contents): Tree[] {
  const trees = new Map<string, Tree>();
  const roots = new Set(Object.values(after.tables).map(({ root }) => root));
  const treeOf = (name: string) => {
    const none = { was: [], is: [], rewritten: false, anew: false, inserted: 0, updated: 0, deleted: 0 };
    const tree = trees.get(name) ?? { name, there: roots.has(name), ...none };
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
    if (is === undefined) continue;
    const anew = is !== after.tables[oid];
    come(tree, is, anew ? undefined : was);
    tree.anew ||= anew;
    tree.rewritten ||= anew || was.file !== is.file;
  }
  for (const is of Object.values(after.tables)) if (!met.has(is)) come(treeOf(is.root), is);
  return [...trees.values()];
}

/** The counters of a new table begin with it. */
function come(tree: Tree, is: TableContents, was?: TableContents): void {
  tree.is.push(is);
  for (const key of ['inserted', 'updated', 'deleted'] as const)
    tree[key] += Math.max(0, is[key] - (was?.[key] ?? 0));
}

function sameRows(was: TableContents, is: TableContents): boolean {
  if (was.rows !== is.rows) return false;
  if (was.digest === null || is.digest === null) return isUntouched(was, is);
  return was.digest === is.digest && Object.keys(was.columns).join() === Object.keys(is.columns).join();
}

function lostOf(tree: Tree, counted: boolean): Lost[] {
  const { name, was, is, there } = tree;
  const rows = sumOfRows(was);
  if (rows === 0) return [];
  if (is.length === 0) return [{ kind: there ? 'rows' : 'table', what: name, count: rows }];
  const columns = pairColumns(was, is);
  const lost = columns.flatMap(({ from, to, values }): Lost[] =>
    to === undefined && values > 0 ? [{ kind: 'column', what: `${name}.${from}`, count: values }] : [],
  );
  const changed = columns.filter(({ to, same }) => to !== undefined && same !== true);
  if (rows !== sumOfRows(is) || changed.some(({ same }) => same === undefined))
    return [...lost, ...lostByCounters(tree, counted)];
  const others = changed.length > 0 ? changed : permuted(columns, was, is);
  const written = counted ? tree.updated + tree.deleted : 0;
  const count = Math.min(rows, Math.max(written, ...others.map(({ missing = 0 }) => missing)));
  if (others.length > 0)
    lost.push({ kind: 'values', what: listed(name, others), count: count === 0 ? null : count });
  return lost;
}

/** With rows come or gone every sum is another one: what was done to those that stayed, only the server has counted. */
function lostByCounters(tree: Tree, counted: boolean): Lost[] {
  const { name: what, was, is, rewritten, anew, inserted, updated, deleted } = tree;
  const rows = sumOfRows(was);
  const gone = Math.max(0, rows - sumOfRows(is));
  // What TRUNCATE removes is counted nowhere: whoever did not come was there.
  const left = !counted ? gone : rewritten ? rows + inserted - sumOfRows(is) : deleted;
  // Of partitions, and of a table made anew, what left one may have come to the other.
  const single = was.length === 1 && is.length === 1 && !anew;
  const removed = Math.max(gone, single ? Math.min(left, rows) : 0);
  const stayed = rows - removed;
  const perhaps = rewritten ? stayed : Math.min(stayed, updated + Math.max(0, left - removed));
  const lost: Lost[] = removed > 0 ? [{ kind: 'rows', what, count: removed }] : [];
  if (!counted) return [...lost, { kind: 'values', what, count: null }];
  return perhaps > 0 ? [...lost, { kind: 'values', what, count: perhaps }] : lost;
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
  const more = sumOfRows(is) - sumOfRows(was);
  if (more <= 0) return [];
  const rows = countOf(more, 'row');
  return [was.length === 0 ? `table ${name} with ${rows}` : `${rows} in ${name}`];
}

function lostSequences(before: Contents, after: Contents): Lost[] {
  const named = new Map(Object.values(after.sequences).map((sequence) => [sequence.name, sequence]));
  return Object.entries(before.sequences).flatMap(([oid, was]) => {
    if (was.last === null) return [];
    // One that was made anew under the old name stands for it.
    const is = after.sequences[oid] ?? named.get(was.name);
    const wentWithTable = was.table !== null && after.tables[was.table] === undefined;
    const kept = is === undefined ? wentWithTable : is.last !== null && is.last >= was.last;
    return kept ? [] : [{ kind: 'sequence' as const, what: was.name, count: null }];
  });
}

function lostLargeObjects(before: Contents, after: Contents, counted: boolean): boolean {
  if (before.largeObjects.count === 0) return false;
  if (after.largeObjects.count < before.largeObjects.count) return true;
  return !counted || after.largeObjects.changes > before.largeObjects.changes;
}

function sumOfRows(tables: TableContents[]): number {
  return tables.reduce((total, { rows }) => total + rows, 0);
}
