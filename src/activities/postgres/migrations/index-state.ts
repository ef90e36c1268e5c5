import type { ClientBase } from 'pg';
import type { Statement } from './parse';
import { detachedBy } from './statements';
import { namesOf, quoted, tableOf } from './parse-tree';

/** An index that a statement outside a transaction makes, remakes or drops. */
export interface IndexState {
  /** Qualified and quoted. */
  name: string;
  valid: boolean;
  /** Being built right now, or perhaps: what another role builds cannot be seen without pg_monitor. */
  building: boolean;
}

const FIND_SQL = `
  SELECT format('%I.%I', n.nspname, c.relname) AS name, i.indisvalid AND i.indisready AS valid,
         EXISTS (SELECT 1 FROM pg_stat_progress_create_index p
                  WHERE p.datname = current_database() AND (p.index_relid = c.oid OR p.relid IS NULL)) AS building
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i' JOIN pg_namespace n ON n.oid = c.relnamespace`;

/** The index that CREATE INDEX CONCURRENTLY names, on its table; undefined where there is none. */
export async function findIndex(client: ClientBase, { node }: Statement): Promise<IndexState | undefined> {
  if (!('IndexStmt' in node)) return undefined;
  const { relation, idxname } = node.IndexStmt;
  const { rows } = await client.query<IndexState>(
    `${FIND_SQL} JOIN pg_class t ON t.oid = to_regclass($1) AND t.relnamespace = c.relnamespace WHERE c.relname = $2`,
    [tableOf(relation), idxname],
  );
  return rows[0];
}

/**
 * What a killed statement of this kind leaves: the invalid index of CREATE INDEX CONCURRENTLY, the `_ccnew` and `_ccold`
 * of REINDEX CONCURRENTLY on its table. Never an index of another name or table.
 */
export async function findLeftovers(client: ClientBase, statement: Statement): Promise<IndexState[]> {
  const { node } = statement;
  if ('IndexStmt' in node) {
    const found = await findIndex(client, statement);
    return found === undefined || found.valid ? [] : [found];
  }
  if (!('ReindexStmt' in node)) return [];
  const { rows } = await client.query<IndexState>(
    `${FIND_SQL} WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
        AND i.indrelid IN (to_regclass($1), (SELECT x.indrelid FROM pg_index x WHERE x.indexrelid = to_regclass($1)))`,
    [tableOf(node.ReindexStmt.relation)],
  );
  return rows;
}

/** Whether everything that DROP INDEX CONCURRENTLY names is gone. */
export async function isDropped(client: ClientBase, { node }: Statement): Promise<boolean> {
  if (!('DropStmt' in node)) return false;
  const names = (node.DropStmt.objects ?? []).map((object) =>
    'List' in object ? quoted(...namesOf(object.List.items)) : '',
  );
  const { rows } = await client.query(
    'SELECT 1 FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NOT NULL LIMIT 1',
    [names],
  );
  return rows.length === 0;
}

/**
 * A partition that DETACH CONCURRENTLY takes out: `pending` where a killed one has to be finalized, undefined for any
 * other statement.
 */
export async function partitionState(
  client: ClientBase,
  { node }: Statement,
): Promise<'attached' | 'pending' | 'gone' | undefined> {
  const detached = detachedBy(node);
  if (detached === undefined) return undefined;
  const { rows } = await client.query<{ pending: boolean }>(
    `SELECT inhdetachpending AS pending FROM pg_inherits WHERE inhparent = to_regclass($1) AND inhrelid = to_regclass($2)`,
    [detached.parent, detached.partition],
  );
  if (rows[0] === undefined) return 'gone';
  return rows[0].pending ? 'pending' : 'attached';
}
