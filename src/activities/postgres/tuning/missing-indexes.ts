import { createHash } from 'node:crypto';
import type { IndexChange, KnownStatement } from '../../../contract/tuning';
import { quoted } from '../migrations/parse-tree';
import { leadsWith, type ForeignKey, type IndexFacts } from './index-facts';
import type { CountedStatement } from './statements';
import type { TableFacts } from './tables';

interface Wanted {
  table: TableFacts;
  columns: string[];
  helps: Set<string>;
  why: string;
}

const MAX_COLUMNS = 4;

/**
 * An index for each search of a slow statement that none begins with: what is compared with one value first, then a bound
 * or the order. Those of more columns come first: where a shorter one then saves nothing more it is not made.
 */
export function indexesForSearches(
  slow: CountedStatement[],
  tables: TableFacts[],
  indexes: IndexFacts[],
  minRows: number,
): { changes: IndexChange[]; findings: string[] } {
  const wanted = new Map<string, Wanted>();
  for (const { id, searches } of slow) {
    for (const { table: name, equal, then } of searches) {
      const table = tables.find((one) => one.table === name);
      if (table === undefined || table.rows < minRows) continue;
      const composite = [...equal, ...then].slice(0, MAX_COLUMNS);
      for (const columns of equal.length > 0 && then.length > 0
        ? [composite, equal.slice(0, MAX_COLUMNS)]
        : [composite]) {
        if (isCovered(indexes, name, columns, equal.length)) continue;
        const key = JSON.stringify([name, columns]);
        const known = wanted.get(key) ?? { table, columns, helps: new Set(), why: whyRead(table) };
        known.helps.add(id);
        wanted.set(key, known);
      }
    }
  }
  return toChanges([...wanted.values()].sort((a, b) => b.columns.length - a.columns.length));
}

/**
 * A row of the parent that is deleted, or whose key changes, looks for its children: without an index by reading all of
 * them. The statement is the one that PostgreSQL itself runs then.
 */
export function indexesForKeys(
  keys: ForeignKey[],
  tables: TableFacts[],
  indexes: IndexFacts[],
  minRows: number,
): { changes: IndexChange[]; findings: string[]; statements: KnownStatement[] } {
  const wanted: Wanted[] = [];
  const statements: KnownStatement[] = [];
  for (const { name, table: of, columns, parent } of keys) {
    const table = tables.find((one) => one.table === of);
    if (table === undefined || table.rows < minRows || isCovered(indexes, of, columns, columns.length))
      continue;
    const id = `foreign key ${name} of ${of}`;
    wanted.push({
      table,
      columns,
      helps: new Set([id]),
      why: `foreign key ${name} to ${parent} has no index: each delete there reads all of it`,
    });
    const matches = columns.map((column, index) => `x.${quoted(column)} = $${index + 1}`).join(' AND ');
    const text = `SELECT 1 FROM ONLY ${of} x WHERE ${matches} FOR KEY SHARE OF x`;
    statements.push({ id, text, tables: [of], calls: 0, meanMs: 0 });
  }
  return { ...toChanges(wanted), statements };
}

function isCovered(indexes: IndexFacts[], table: string, columns: string[], equal: number): boolean {
  return indexes.some(
    (one) =>
      one.table === table &&
      leadsWith(one, columns.slice(0, equal)) &&
      columns.slice(equal).every((column, place) => one.columns[equal + place] === column) &&
      one.btree &&
      one.valid &&
      !one.partial,
  );
}

function whyRead({ rows, seqScans, seqRows, writes }: TableFacts): string {
  const read =
    seqScans === 0
      ? 'no sequential scan was counted'
      : `${seqScans} sequential scans have read ${seqRows} rows`;
  return `about ${Math.round(rows)} rows, ${read}; each of its ${writes} writes would have had to maintain the index`;
}

function toChanges(wanted: Wanted[]): { changes: IndexChange[]; findings: string[] } {
  const changes: IndexChange[] = [];
  const findings: string[] = [];
  for (const { table, columns, helps, why } of wanted) {
    if (table.partitioned) {
      findings.push(
        `${table.table} is partitioned, and an index on (${columns.join(', ')}) is missing: CREATE INDEX ... ON ONLY it, CONCURRENTLY on each partition, then ALTER INDEX ... ATTACH PARTITION`,
      );
      continue;
    }
    const name = nameOf(table, columns);
    changes.push({
      kind: 'create',
      index: `${ident(table.schema)}.${ident(name)}`,
      table: table.table,
      definition: `CREATE INDEX ${ident(name)} ON ${table.table} USING btree (${columns.map(ident).join(', ')})`,
      why,
      bytes: 0,
      helps: [...helps],
      tablespace: null,
      comment: null,
    });
  }
  return { changes, findings };
}

const MAX_NAME_BYTES = 63;

/** Of our own making, so that what a build of ours has left is known as ours, and equal on every retry. */
function nameOf({ table, name }: TableFacts, columns: string[]): string {
  const hash = createHash('sha256')
    .update(JSON.stringify([table, columns]))
    .digest('hex')
    .slice(0, 8);
  const words = Buffer.from(`rb_${[name, ...columns].join('_')}`).subarray(
    0,
    MAX_NAME_BYTES - hash.length - 1,
  );
  return `${words.toString('utf8').replace(/\uFFFD+$/, '')}_${hash}`;
}

/** As the server writes a name: quoted where it must be. Key words are quoted too often rather than too seldom. */
function ident(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !RESERVED.has(name) ? name : quoted(name);
}

const RESERVED = new Set(
  `all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean both case cast char
   character check coalesce collate collation column concurrently constraint create cross current_catalog current_date
   current_role current_schema current_time current_timestamp current_user dec decimal default deferrable desc distinct do
   else end except exists extract false fetch float for foreign freeze from full grant greatest group grouping having ilike
   in initially inner inout int integer intersect interval into is isnull join lateral leading least left like limit
   localtime localtimestamp national natural nchar none normalize not notnull null nullif numeric offset on only or order
   out outer overlaps overlay placing position precision primary real references returning right row select session_user
   setof similar smallint some substring symmetric system_user table tablesample then time timestamp to trailing treat trim
   true union unique user using values varchar variadic verbose when where window with xmlattributes xmlconcat xmlelement
   xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable`.split(/\s+/),
);
