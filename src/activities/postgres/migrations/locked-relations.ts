import type { ClientBase } from 'pg';
import { STOPPING_MODES, strongest, type Blocks } from '../../../contract/locks';
import type { TableLock } from './table-locks';

/** Whether the column that is dropped is one of these. */
const hasDropped = (columns: string) =>
  `EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = l.oid AND a.attnum = ANY(${columns}) AND l.brings = 'column:' || a.attname)`;

/**
 * Relations that locks on names concern, with what comes with them: the table of an index, the children of a table, the
 * other ends of foreign keys, views. $1: names; $2: what they block; $3: what they bring.
 */
export const LOCKED_RELATIONS = `
  RECURSIVE walked AS (
    SELECT to_regclass(name)::oid AS oid, blocks, brings FROM unnest($1::text[], $2::text[], $3::text[]) AS w(name, blocks, brings)
     WHERE to_regclass(name) IS NOT NULL
    UNION
    SELECT other.oid, l.blocks, other.brings FROM walked l CROSS JOIN LATERAL (
      SELECT indrelid AS oid, '' AS brings FROM pg_index WHERE indexrelid = l.oid
      UNION ALL SELECT inhrelid, l.brings FROM pg_inherits WHERE inhparent = l.oid AND l.brings ~ '^(children|dropped|column:|key:)'
      UNION ALL SELECT inhparent, 'default' FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid AND c.relispartition
                 WHERE inhrelid = l.oid AND l.brings = 'dropped'
      UNION ALL SELECT partdefid, '' FROM pg_partitioned_table WHERE partrelid = l.oid AND partdefid <> 0 AND l.brings ~ 'default$'
      UNION ALL SELECT confrelid, '' FROM pg_constraint WHERE conrelid = l.oid AND contype = 'f'
                   AND (l.brings = 'dropped' OR l.brings = 'key:' || conname OR ${hasDropped('conkey')})
      UNION ALL SELECT conrelid, CASE l.brings WHEN 'referencing' THEN l.brings ELSE '' END FROM pg_constraint f
                 WHERE confrelid = l.oid AND contype = 'f' AND l.brings ~ '^(dropped|referencing|column:|key:)'
                   AND (l.brings IN ('dropped', 'referencing') OR ${hasDropped('confkey')}
                        OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = l.oid AND k.conindid = f.conindid AND l.brings = 'key:' || k.conname))
      UNION ALL SELECT r.ev_class, 'dropped' FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> l.oid
                 WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = l.oid
                   AND (l.brings = 'dropped' OR ${hasDropped('ARRAY[d.refobjsubid]')})
    ) other),
  locked AS (SELECT DISTINCT oid, blocks FROM walked WHERE brings <> 'only default')`;

/** The parameters of `LOCKED_RELATIONS`. */
export function lockedParameters(locks: TableLock[]): [string[], string[], string[]] {
  return [
    locks.map(({ table }) => table),
    locks.map(({ blocks }) => blocks),
    locks.map(({ brings }) => brings ?? ''),
  ];
}

/** What is predicted to be locked, by OID, as this session understands the names now. */
export async function predictedLocks(client: ClientBase, locks: TableLock[]): Promise<Map<string, Blocks>> {
  const predicted = new Map<string, Blocks>();
  if (locks.length === 0) return predicted;
  const { rows } = await client.query<{ oid: string; blocks: Blocks }>(
    `WITH ${LOCKED_RELATIONS}
     SELECT l.oid::int8::text AS oid, l.blocks FROM locked l JOIN pg_class c ON c.oid = l.oid
      WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f')`,
    lockedParameters(locks),
  );
  for (const { oid, blocks } of rows) predicted.set(oid, strongest(blocks, predicted.get(oid) ?? 'nothing'));
  return predicted;
}

export interface TakenLock {
  oid: string;
  /** Qualified and, where it must be, quoted. */
  table: string;
  mode: string;
}

/** Locks of this session's open transaction that stop others, by relation; one on an index stops who reads its table. */
export async function ownLocks(client: ClientBase): Promise<{ oid: string; mode: string }[]> {
  const { rows } = await client.query<{ oid: string; mode: string }>(
    `SELECT l.relation::int8::text AS oid, l.mode FROM pg_locks l
      WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.mode = ANY($1)
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    [STOPPING_MODES],
  );
  return rows;
}

/** Those of them on tables and views that `other`, a session outside of the transaction, sees: nobody waits for new ones. */
export async function onTablesOfOthers(
  other: ClientBase,
  locks: { oid: string; mode: string }[],
): Promise<TakenLock[]> {
  if (locks.length === 0) return [];
  const { rows } = await other.query<TakenLock>(
    `SELECT t.oid::int8::text AS oid, format('%I.%I', n.nspname, t.relname) AS table, taken.mode
       FROM unnest($1::oid[], $2::text[]) AS taken(oid, mode)
       JOIN pg_class c ON c.oid = taken.oid LEFT JOIN pg_index i ON i.indexrelid = c.oid
       JOIN pg_class t ON t.oid = coalesce(i.indrelid, c.oid) AND t.relkind IN ('r', 'p', 'm', 'v', 'f')
       JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname NOT IN ('pg_catalog', 'pg_toast')`,
    [locks.map(({ oid }) => oid), locks.map(({ mode }) => mode)],
  );
  return rows;
}
