import type { ClientBase } from 'pg';
import { quotedName } from './inventory';

/** Values are written the same way whatever the server, the database or the role prefers. */
const OUTPUT: Record<string, string> = {
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmlbinary: 'base64',
  // Names of types, functions and the like, where they are values, are then written with their schema.
  search_path: '',
};

/** What is read at once of a large object. */
const CHUNK_BYTES = 16 * 1024 * 1024;

/** Fixes how values are written for the rest of this transaction; before `digestTable`. */
export async function fixOutput(client: ClientBase): Promise<void> {
  await client.query(
    `SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS s(name, value)`,
    [Object.keys(OUTPUT), Object.values(OUTPUT)],
  );
}

/**
 * Rows of one table, without those of its children, and the sum of their hashes: the same for the same rows in
 * whatever order, of rows and of columns.
 */
export async function digestTable(
  client: ClientBase,
  table: { schema: string; name: string },
): Promise<{ rows: number; digest: string }> {
  const name = quotedName(table);
  const { rows: found } = await client.query<{ columns: string | null }>(
    `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attname) AS columns
       FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
    [name],
  );
  const { rows } = await client.query<{ count: string; digest: string }>(
    `SELECT count(*)::text AS count, coalesce(sum(hashtextextended(ROW(${found[0]?.columns ?? ''})::text, 0)), 0)::text AS digest FROM ONLY ${name}`,
  );
  return { rows: Number(rows[0]?.count), digest: rows[0]!.digest };
}

/** The same of all large objects: their numbers and their contents. Needs to read `pg_largeobject`. */
export async function digestLargeObjects(client: ClientBase): Promise<string> {
  const { rows } = await client.query<{ digest: string }>(
    `SELECT coalesce(sum(hashtextextended(concat_ws(' ', m.oid, chunk, md5(lo_get(m.oid, chunk * $1::int, $1::int))), 0)), 0)::text AS digest
       FROM pg_largeobject_metadata m,
            generate_series(0, (SELECT coalesce(max(pageno), 0) FROM pg_largeobject WHERE loid = m.oid) * (current_setting('block_size')::bigint / 4) / $1::int) AS chunk`,
    [CHUNK_BYTES],
  );
  return rows[0]!.digest;
}
