import { escapeIdentifier, type Client } from 'pg';
import type { Check } from '../../../contract/place';

export interface ForeignKey {
  /** `schema.table.constraint` */
  label: string;
  valid: boolean;
  child: string;
  parent: string;
  childColumns: string[];
  parentColumns: string[];
  childBytes: number;
}

/** Foreign keys of the database, those of partitions with their parent. */
export async function listForeignKeys(client: Client): Promise<ForeignKey[]> {
  const { rows } = await client.query<Omit<ForeignKey, 'childBytes'> & { childBytes: string }>(
    `SELECT format('%s.%s.%s', n.nspname, c.relname, k.conname) AS label, k.convalidated AS valid,
            k.conrelid::regclass::text AS child, k.confrelid::regclass::text AS parent,
            ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, i) JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.i) AS "childColumns",
            ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, i) JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.i) AS "parentColumns",
            (SELECT coalesce(sum(pg_relation_size(t.relid)), 0) FROM pg_partition_tree(k.conrelid) t)::bigint + pg_relation_size(k.conrelid) AS "childBytes"
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname !~ '^pg_'
      ORDER BY 1`,
  );
  return rows.map((row) => ({ ...row, childBytes: Number(row.childBytes) }));
}

/** Of a child table larger than this only a sample is compared: the restore itself has checked every row. */
const SAMPLE_BYTES = 16 * 1024 * 1024;

/** Rows whose parent is missing: a foreign key that says "valid" over such data was made so by force. */
export async function checkOrphans(client: Client, key: ForeignKey): Promise<string[]> {
  const percent = Math.min(100, (SAMPLE_BYTES / Math.max(1, key.childBytes)) * 100);
  const sample = percent < 100 ? `TABLESAMPLE SYSTEM (${percent.toFixed(4)})` : '';
  const pairs = key.childColumns.map(
    (column, index) => `p.${escapeIdentifier(key.parentColumns[index]!)} = c.${escapeIdentifier(column)}`,
  );
  const present = key.childColumns.map((column) => `c.${escapeIdentifier(column)} IS NOT NULL`);
  // The names come from regclass and are quoted already.
  const { rows } = await client.query<{ orphan: string }>(
    `SELECT left(c::text, 120) AS orphan FROM ${key.child} c ${sample}
      WHERE ${present.join(' AND ')} AND NOT EXISTS (SELECT 1 FROM ${key.parent} p WHERE ${pairs.join(' AND ')}) LIMIT 1`,
  );
  return key.valid && rows[0] !== undefined ? [`${key.label}: ${rows[0].orphan} has no parent`] : [];
}

/**
 * Every index valid, and every B-tree in order where amcheck may be used: the variant that reads each index once and
 * takes no lock that hurts. The extension exists only inside a transaction that is rolled back.
 */
export async function checkIndexes(client: Client): Promise<Check> {
  const name = 'indexes';
  const { rows: invalid } = await client.query<{ index: string }>(
    `SELECT indexrelid::regclass::text AS index FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT indisvalid AND c.relkind = 'i'`,
  );
  if (invalid.length > 0)
    return { name, ok: false, detail: `invalid: ${invalid.map(({ index }) => index).join(', ')}` };
  await client.query('BEGIN');
  try {
    const there = await installAmcheck(client);
    if (there !== true)
      return { name, ok: true, detail: `all valid; their order was not checked (${there})` };
    const { rows } = await client.query<{ oid: string; index: string }>(
      `SELECT c.oid::text AS oid, c.oid::regclass::text AS index
         FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND i.indisready
        ORDER BY c.relpages`,
    );
    for (const { oid, index } of rows) {
      try {
        await client.query('SELECT durable_runbooks_amcheck.bt_index_check($1::oid::regclass)', [oid]);
      } catch (error) {
        // XX002 index corrupted, and whatever else it says about this one index.
        if (!/^(XX|22)/.test((error as { code?: string }).code ?? '')) throw error;
        return { name, ok: false, detail: `${index}: ${(error as Error).message}` };
      }
    }
    return { name, ok: true, detail: `all valid, ${rows.length} B-trees in order (amcheck)` };
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

async function installAmcheck(client: Client): Promise<true | string> {
  const { rows } = await client.query<{ superuser: boolean; available: boolean }>(
    `SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
            EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck' AND installed_version IS NULL) AS available`,
  );
  if (rows[0]?.available !== true) return 'amcheck is not available';
  if (!rows[0].superuser) return 'amcheck needs a superuser';
  await client.query('CREATE SCHEMA durable_runbooks_amcheck');
  await client.query('CREATE EXTENSION amcheck SCHEMA durable_runbooks_amcheck');
  return true;
}
