import type { ClientBase } from 'pg';
import { buildingSql } from '../indexes/build-concurrently';

export interface IndexFacts {
  /** Qualified and quoted, as is the table. */
  index: string;
  table: string;
  definition: string;
  /** What two equal ones have in common: everything but the name. */
  shape: string;
  /** Key columns in order; null for an expression. */
  columns: (string | null)[];
  bytes: number;
  /** Scans that count as use: none of those whose last one is too long ago, where the server says when that was. */
  scans: number;
  /** Of whatever age. */
  allScans: number;
  /** ISO time; null where there was none, or the server does not say. */
  lastScan: string | null;
  valid: boolean;
  building: boolean;
  partial: boolean;
  btree: boolean;
  /** Why nobody but a person may drop it, whatever its scans. */
  keptBecause: string | null;
  tablespace: string | null;
  comment: string | null;
}

/** Not those that the server, an extension or we made for ourselves. */
export const NOT_USERS = `n.nspname ~ '^pg_' OR n.nspname IN ('information_schema', 'durable_runbooks')`;

/** Each reason is enough: they enforce something, are named by something, or serve where no scan is counted. */
const KEPT_BECAUSE = `
  CASE
    WHEN i.indisprimary THEN 'it is the primary key'
    WHEN con.conname IS NOT NULL THEN 'constraint ' || quote_ident(con.conname) || ' needs it'
    WHEN i.indisunique OR i.indisexclusion THEN 'it keeps values apart'
    WHEN i.indisreplident THEN 'it is the replica identity'
    WHEN i.indisclustered THEN 'CLUSTER goes by it'
    WHEN c.relkind = 'I' OR c.relispartition THEN 'it belongs to an index of a partitioned table'
    WHEN i.indexprs IS NOT NULL THEN 'the planner estimates by the statistics of its expression'
    WHEN EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
      THEN 'it belongs to an extension'
  END`;

/** $1: days after which a scan is too long ago to count. */
const INDEX_SQL = `
  SELECT format('%I.%I', n.nspname, c.relname) AS index, format('%I.%I', tn.nspname, t.relname) AS table,
         pg_get_indexdef(c.oid) AS definition, ${shapeOf('c')} AS shape,
         ARRAY(SELECT a.attname FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(attnum, place)
                 LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum AND k.attnum > 0
                ORDER BY k.place)::text[] AS columns,
         pg_relation_size(c.oid)::float8 AS bytes,
         CASE WHEN (to_jsonb(s) ->> 'last_idx_scan')::timestamptz < clock_timestamp() - make_interval(secs => $1::float8 * 86400) THEN 0
              ELSE coalesce(s.idx_scan, 0) END::float8 AS scans,
         coalesce(s.idx_scan, 0)::float8 AS "allScans",
         to_char((to_jsonb(s) ->> 'last_idx_scan')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "lastScan",
         i.indisvalid AND i.indisready AND i.indislive AS valid,
         ${buildingSql('c', 't')} AS building,
         i.indpred IS NOT NULL AS partial, am.amname = 'btree' AS btree, ${KEPT_BECAUSE} AS "keptBecause",
         ts.spcname AS tablespace, obj_description(c.oid, 'pg_class') AS comment
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_am am ON am.oid = c.relam
    JOIN pg_class t ON t.oid = i.indrelid AND t.relkind IN ('r', 'm', 'p') JOIN pg_namespace tn ON tn.oid = t.relnamespace
    LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = c.oid
    LEFT JOIN pg_tablespace ts ON ts.oid = c.reltablespace
    LEFT JOIN LATERAL (SELECT conname FROM pg_constraint WHERE conindid = c.oid LIMIT 1) con ON true`;

function shapeOf(alias: string): string {
  return `regexp_replace(pg_get_indexdef(${alias}.oid), '^(CREATE (UNIQUE )?INDEX ).*? ON ', 'INDEX ON ') || coalesce(${alias}.reltablespace::text, '')`;
}

/** The indexes of the users' tables, by table and name. */
export async function readIndexes(client: ClientBase, unusedDays: number): Promise<IndexFacts[]> {
  const { rows } = await client.query<IndexFacts>(`${INDEX_SQL} WHERE NOT (${NOT_USERS}) ORDER BY 2, 1`, [
    unusedDays,
  ]);
  return rows;
}

/** One index as it is now; undefined where there is none of that name. */
export async function readIndex(
  client: ClientBase,
  index: string,
  unusedDays: number,
): Promise<IndexFacts | undefined> {
  const { rows } = await client.query<IndexFacts>(`${INDEX_SQL} WHERE c.oid = to_regclass($2)`, [
    unusedDays,
    index,
  ]);
  return rows[0];
}

export interface ForeignKey {
  name: string;
  table: string;
  /** Quoted, for statements. */
  columns: string[];
  parent: string;
  rows: number;
  partitioned: boolean;
}

/** The foreign keys of the users' tables. */
export async function readForeignKeys(client: ClientBase): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(
    `SELECT quote_ident(con.conname) AS name, format('%I.%I', n.nspname, t.relname) AS table, con.confrelid::regclass::text AS parent,
            ARRAY(SELECT a.attname FROM unnest(con.conkey) WITH ORDINALITY k(attnum, place)
                    JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum ORDER BY k.place)::text[] AS columns,
            greatest(t.reltuples, 0)::float8 AS rows, t.relkind = 'p' OR t.relispartition AS partitioned
       FROM pg_constraint con JOIN pg_class t ON t.oid = con.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
      WHERE con.contype = 'f' AND NOT (${NOT_USERS}) ORDER BY 2, 1`,
  );
  return rows;
}

/** A whole index that begins with exactly these columns, in whatever order. */
export function leadsWith({ btree, partial, valid, columns }: IndexFacts, wanted: string[]): boolean {
  const first = columns.slice(0, wanted.length);
  return (
    btree && valid && !partial && first.length === wanted.length && wanted.every((one) => first.includes(one))
  );
}
