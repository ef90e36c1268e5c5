import type { ClientBase } from 'pg';
import { NOT_USERS } from './index-facts';

/** What is known of a table that statements name. */
export interface TableFacts {
  /** Qualified and quoted. */
  table: string;
  schema: string;
  name: string;
  columns: string[];
  rows: number;
  bytes: number;
  seqScans: number;
  /** Rows that sequential scans have read. */
  seqRows: number;
  writes: number;
  partitioned: boolean;
  /** Its name alone finds it. */
  visible: boolean;
}

/** The users' tables. */
export async function readTables(client: ClientBase): Promise<TableFacts[]> {
  const { rows } = await client.query<TableFacts>(
    `SELECT format('%I.%I', n.nspname, t.relname) AS table, n.nspname AS schema, t.relname AS name,
            ARRAY(SELECT attname FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum)::text[] AS columns,
            greatest(t.reltuples, s.n_live_tup, 0)::float8 AS rows, pg_relation_size(t.oid)::float8 AS bytes,
            coalesce(s.seq_scan, 0)::float8 AS "seqScans", coalesce(s.seq_tup_read, 0)::float8 AS "seqRows",
            coalesce(s.n_tup_ins + s.n_tup_upd + s.n_tup_del, 0)::float8 AS writes,
            t.relkind = 'p' AS partitioned, pg_table_is_visible(t.oid) AS visible
       FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace LEFT JOIN pg_stat_user_tables s ON s.relid = t.oid
      WHERE t.relkind IN ('r', 'p') AND NOT (${NOT_USERS}) ORDER BY 1`,
  );
  return rows;
}

/** The table that a statement names; undefined for a view, a name of a WITH, or a table of somebody else. */
export function findTable(
  tables: TableFacts[],
  schema: string | undefined,
  name: string,
): TableFacts | undefined {
  return tables.find(
    (one) => one.name === name && (schema === undefined ? one.visible : one.schema === schema),
  );
}
