import { escapeIdentifier, type ClientBase } from 'pg';
import type { MappedTable } from '../../postgres/repair/mapping';

/** A table of the application, as repairs know one. */
export interface KeyedTable extends MappedTable {
  schema: string;
  table: string;
  /** Quoted, without those that are generated: they follow from the others. */
  writable: string[];
  /** Name and type of every column, to tell whether two databases have the same. */
  shape: string;
}

export interface Catalogue {
  keyed: KeyedTable[];
  /** Without one column that is their primary key. */
  unkeyed: { name: string; why: string }[];
}

export interface ForeignKey {
  name: string;
  child: string;
  parent: string;
  /** Quoted, in their order. */
  columns: string[];
  refers: string[];
}

interface FoundTable {
  schema: string;
  table: string;
  key: string[];
  keyType: string | null;
  columns: { name: string; type: string; generated: boolean }[];
}

const OURS = `n.nspname NOT IN ('pg_catalog', 'information_schema', 'durable_runbooks') AND n.nspname !~ '^pg_(toast|temp)'`;

/** A table's name as `KeyedTable` has it: always quoted, so that two of them are the same table. */
export const qualified = (schema: string, relation: string): string =>
  `'"' || replace(${schema}.nspname, '"', '""') || '"."' || replace(${relation}.relname, '"', '""') || '"'`;

/** Ordinary and partitioned tables; partitions are looked at through their parents. */
export async function readCatalogue(client: ClientBase): Promise<Catalogue> {
  const { rows } = await client.query<FoundTable>(
    `SELECT n.nspname::text AS schema, c.relname::text AS table,
            coalesce((SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY(i.indkey)), '{}') AS key,
            (SELECT format_type(a.atttypid, a.atttypmod) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = i.indkey[0]) AS "keyType",
            (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'generated', a.attgenerated <> '')
                             ORDER BY a.attname)
               FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence = 'p' AND ${OURS}
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
      ORDER BY 1, 2`,
  );
  const catalogue: Catalogue = { keyed: [], unkeyed: [] };
  for (const { schema, table, key, keyType, columns } of rows) {
    const name = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
    if (key.length !== 1 || keyType === null) {
      const why = key.length === 0 ? 'it has no primary key' : 'its primary key has several columns';
      catalogue.unkeyed.push({ name, why });
      continue;
    }
    catalogue.keyed.push({
      ...{ schema, table, name },
      columns: { id: { name: escapeIdentifier(key[0]!), type: keyType } },
      writable: (columns ?? [])
        .filter(({ generated }) => !generated)
        .map((one) => escapeIdentifier(one.name)),
      shape: (columns ?? []).map((one) => `${one.name} ${one.type}`).join(', '),
    });
  }
  return catalogue;
}

/** Also those that nobody has validated, or whose triggers were switched off: the constraint says what should be. */
export async function readForeignKeys(client: ClientBase): Promise<ForeignKey[]> {
  const { rows } = await client.query<ForeignKey>(
    `SELECT f.conname::text AS name, ${qualified('n', 'c')} AS child, ${qualified('pn', 'p')} AS parent,
            ARRAY(SELECT quote_ident(a.attname) FROM unnest(f.conkey) WITH ORDINALITY k(num, at)
                    JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.num ORDER BY k.at) AS columns,
            ARRAY(SELECT quote_ident(a.attname) FROM unnest(f.confkey) WITH ORDINALITY k(num, at)
                    JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.num ORDER BY k.at) AS refers
       FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace pn ON pn.oid = p.relnamespace
      WHERE f.contype = 'f' AND f.conparentid = 0 AND NOT c.relispartition AND ${OURS} ORDER BY 1, 2`,
  );
  return rows;
}

/** CHECK constraints that the server has never held all rows to. */
export async function readUnprovenChecks(
  client: ClientBase,
): Promise<{ name: string; table: string; expression: string }[]> {
  const { rows } = await client.query<{ name: string; table: string; expression: string }>(
    `SELECT k.conname::text AS name, ${qualified('n', 'c')} AS table, pg_get_expr(k.conbin, k.conrelid) AS expression
       FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE k.contype = 'c' AND NOT k.convalidated AND k.conparentid = 0 AND ${OURS} ORDER BY 1, 2`,
  );
  return rows;
}
