import { escapeIdentifier, type ClientBase } from 'pg';
import { fail } from '../../support/failure';

/** A table of the application as the configuration names it, by what its columns mean here. */
export interface TableMapping {
  schema: string;
  table: string;
  columns: { id: string };
}

export interface MappedColumn {
  /** Quoted. */
  name: string;
  /** As SQL writes it, for casts. */
  type: string;
}

/** A mapped table that was found in the catalogue. */
export interface MappedTable<C = Record<'id', string>> {
  /** Qualified and quoted. */
  name: string;
  columns: { [K in keyof C]: C[K] extends string ? MappedColumn : MappedColumn | undefined };
}

/** Of a mapping that may be missing, the table may be missing too. */
type TableOf<M> = M extends TableMapping ? MappedTable<M['columns']> : undefined;

interface FoundTable {
  oid: string | null;
  kind: string | null;
  sizeBytes: number;
  columns: { name: string; type: string; leads: boolean; unique: boolean }[];
}

/** Above it a search without an index would hold locks for as long as it reads the table. */
const LARGE_BYTES = 16_000_000;

const TABLE_SQL = `
  SELECT c.oid::text AS oid, c.relkind::text AS kind, 
    coalesce((SELECT sum(pg_relation_size(relid)) FROM pg_partition_tree(c.oid)), pg_relation_size(c.oid), 0)::float8 AS "sizeBytes",
    coalesce((SELECT json_agg(json_build_object(
        'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
        'leads', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum),
        'unique', EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisunique AND i.indpred IS NULL
                             AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)) ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]') AS columns
    FROM (SELECT) AS one LEFT JOIN pg_class c ON c.oid = to_regclass(format('%I.%I', $1::text, $2::text))`;

/** What one mapping needs of its table beside the columns that it names. */
export interface Needs {
  /** Columns that rows are searched by, one after the other: a large table needs an index that begins with them. */
  indexed?: string[];
}

/**
 * Finds mapped tables and their columns in the catalogue of the database. `path` is where they stand in runbooks.yaml.
 * Throws MappingInvalid with everything that is wrong, before anything is locked.
 */
export async function readTables<M extends Record<string, TableMapping | undefined>>(
  client: ClientBase,
  path: string,
  mappings: M,
  needs: Partial<Record<keyof M, Needs>> = {},
): Promise<{ [K in keyof M]: TableOf<M[K]> }> {
  const problems: string[] = [];
  const found: Record<string, MappedTable | undefined> = {};
  for (const [name, mapping] of Object.entries(mappings)) {
    if (mapping === undefined) continue;
    const { rows } = await client.query<FoundTable>(TABLE_SQL, [mapping.schema, mapping.table]);
    const read = tableOf(mapping, rows[0]!, `${path}.${name}`, needs[name]?.indexed ?? []);
    problems.push(...read.problems);
    found[name] = read.table;
  }
  if (problems.length > 0)
    throw fail(
      'MappingInvalid',
      `The tables of the configuration are not those of the database: ${problems.join('; ')}. Nothing was changed. Correct runbooks.yaml, then start again.`,
    );
  return found as { [K in keyof M]: TableOf<M[K]> };
}

function tableOf(
  { schema, table, columns }: TableMapping,
  found: FoundTable,
  path: string,
  indexed: string[],
): { table?: MappedTable; problems: string[] } {
  const label = `${schema}.${table}`;
  if (found.oid === null) return { problems: [`${path}: there is no table ${label}`] };
  if (found.kind !== 'r' && found.kind !== 'p')
    return { problems: [`${path}: ${label} is no table, so its rows cannot be locked`] };
  const byName = new Map(found.columns.map((column) => [column.name, column]));
  const known = found.columns.map(({ name }) => name).join(', ');
  const wanted = Object.entries<string | undefined>({ ...columns }).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const problems = wanted.flatMap(([meaning, name]) => {
    const column = byName.get(name);
    const at = `${path}.columns.${meaning}`;
    if (column === undefined) return [`${at}: ${label} has no column "${name}"; it has ${known}`];
    if (meaning === 'id' && !column.unique)
      return [`${at}: "${name}" is not unique in ${label} by itself, so it names no single row`];
    if (indexed.includes(meaning) && !column.leads && found.sizeBytes > LARGE_BYTES)
      return [
        `${at}: no index of ${label} begins with "${name}", and the table is large: every search would hold locks for as long as it reads all of it. CREATE INDEX CONCURRENTLY ON ${label} ("${name}")`,
      ];
    return [];
  });
  if (problems.length > 0) return { problems };
  return {
    problems,
    table: {
      name: `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`,
      columns: Object.fromEntries(
        wanted.map(([meaning, name]) => [
          meaning,
          { name: escapeIdentifier(name), type: byName.get(name)!.type },
        ]),
      ) as MappedTable['columns'],
    },
  };
}

/** A parameter with an instant, as that column keeps it: without a zone it is UTC, as object mappers write it. */
export function instantParameter(position: number, column: MappedColumn): string {
  return instantValue(`$${position}::timestamptz`, column);
}

/** The same of an instant that is SQL. */
export function instantValue(instant: string, { type }: MappedColumn): string {
  return type.startsWith('timestamp') && type.endsWith('without time zone')
    ? `((${instant}) AT TIME ZONE 'UTC')`
    : `(${instant})`;
}

/** A column as an ISO time in UTC. */
export function instantText({ name, type }: MappedColumn, alias: string): string {
  const column = `${alias}.${name}`;
  const zoned =
    type.startsWith('timestamp') && type.endsWith('without time zone')
      ? column
      : `${column} AT TIME ZONE 'UTC'`;
  return `to_char(${zoned}, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
}

/** A parameter with a state, as that column keeps it. A cast would cut what is too long for it, and write that: without a length it is refused. */
export function valueParameter(position: number, { type }: MappedColumn): string {
  const whole = type.replace(/^(character varying)\(\d+\)$/, '$1').replace(/^character\(\d+\)$/, 'bpchar');
  return `$${position}::${whole}`;
}

/** A parameter with several keys of that column, given as texts. */
export function keysParameter(position: number, { type }: MappedColumn): string {
  return `$${position}::${type}[]`;
}
