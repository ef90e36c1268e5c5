import { escapeIdentifier, type ClientBase } from 'pg';
import { fixOutput } from '../backups/contents';
import { quotedName } from '../backups/inventory';
import { inTransaction } from '../session/transaction';
import {
  isUntouched,
  type ColumnContents,
  type Contents,
  type SequenceContents,
  type TableContents,
} from './compare-contents';

/** Larger tables are counted, and their values not compared: it would take longer than a restore. */
const DIGESTED_BYTES = 1024 ** 3;
/** A server has room for the locks of some thousand tables; a transaction for each would be slow. */
const TABLES_AT_ONCE = 50;
/** From this version on the counters of a session are there when it has ended. */
const EXACT_COUNTERS = 15;

type Found = Omit<TableContents, 'rows' | 'digest' | 'columns'> & {
  oid: string;
  schema: string;
  relation: string;
  bytes: number;
  columns: { name: string; number: number; type: string }[];
};

const TABLES = `
  SELECT c.oid::text AS oid, n.nspname AS schema, c.relname AS relation, format('%I.%I', n.nspname, c.relname) AS name,
         coalesce((SELECT format('%I.%I', rn.nspname, r.relname) FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace
                    WHERE c.relispartition AND r.oid = pg_partition_root(c.oid)), format('%I.%I', n.nspname, c.relname)) AS root,
         pg_table_size(c.oid)::float8 AS bytes, c.relfilenode::text AS file,
         pg_stat_get_tuples_inserted(c.oid)::float8 AS inserted, pg_stat_get_tuples_updated(c.oid)::float8 AS updated,
         pg_stat_get_tuples_deleted(c.oid)::float8 AS deleted,
         coalesce((SELECT json_agg(json_build_object('name', attname, 'number', attnum, 'type', format_type(atttypid, atttypmod)) ORDER BY attnum)
                     FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''), '[]') AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'durable_runbooks')
   ORDER BY c.oid`;

/**
 * What a database holds that nobody else writes to: rows, the values of every column, sequences, large objects. A table that
 * is as it was in `before` by the server's own counters is not read again. Not consistent while somebody writes.
 */
export async function readContents(
  client: ClientBase,
  before: Contents | null,
  onDone: (done: number, all: number) => void,
): Promise<Contents> {
  const { serverStarted, largeObjects, exact } = await readServer(client);
  const { rows: found } = await client.query<Found>(TABLES);
  const known = before !== null && exact && before.serverStarted === serverStarted ? before.tables : {};
  const tables: Contents['tables'] = {};
  for (let from = 0; from < found.length; from += TABLES_AT_ONCE) {
    await inTransaction(
      client,
      async () => {
        await fixOutput(client);
        await client.query('SET LOCAL row_security = off; SET LOCAL jit = off');
        for (const one of found.slice(from, from + TABLES_AT_ONCE))
          tables[one.oid] = await readTable(client, one, known[one.oid]);
      },
      { begin: 'BEGIN READ ONLY' },
    );
    onDone(Math.min(found.length, from + TABLES_AT_ONCE), found.length);
  }
  return { serverStarted, tables, sequences: await readSequences(client), largeObjects };
}

async function readTable(
  client: ClientBase,
  { oid: _oid, schema, relation, bytes, columns, ...rest }: Found,
  was: TableContents | undefined,
): Promise<TableContents> {
  const bare = Object.fromEntries(
    columns.map(({ name, number, type }) => [name, { number, type, values: 0, digest: null }]),
  );
  if (was !== undefined && isUntouched(was, { ...rest, columns: bare })) return { ...was, ...rest };
  const names = columns.map(({ name }) => escapeIdentifier(name));
  const digested = bytes <= DIGESTED_BYTES;
  const hash = (text: string) => `coalesce(sum(hashtextextended(${text}, 0)), 0)::text`;
  const digests = digested ? names.map((name) => hash(`${name}::text`)) : [];
  const { rows } = await client.query<{
    rows: string;
    digest: string | null;
    values: string[];
    digests: string[];
  }>(
    `SELECT count(*)::text AS rows, ${digested ? hash(`ROW(${names.join()})::text`) : 'NULL'} AS digest,
            ARRAY[${names.map((name) => `count(${name})::text`).join()}]::text[] AS values, ARRAY[${digests.join()}]::text[] AS digests
       FROM ONLY ${quotedName({ schema, name: relation })}`,
  );
  const [read] = rows as [(typeof rows)[number]];
  const contents = columns.map(({ name, number, type }, index): [string, ColumnContents] => [
    name,
    { number, type, values: Number(read.values[index]), digest: read.digests[index] ?? null },
  ]);
  return { ...rest, rows: Number(read.rows), digest: read.digest, columns: Object.fromEntries(contents) };
}

async function readServer(
  client: ClientBase,
): Promise<Pick<Contents, 'serverStarted' | 'largeObjects'> & { exact: boolean }> {
  const { rows } = await client.query<{ started: string; major: number; count: number; changes: number }>(
    `SELECT pg_postmaster_start_time()::text AS started, current_setting('server_version_num')::int / 10000 AS major,
            (SELECT count(*)::int FROM pg_largeobject_metadata) AS count,
            (pg_stat_get_tuples_updated('pg_largeobject'::regclass) + pg_stat_get_tuples_deleted('pg_largeobject'::regclass))::float8 AS changes`,
  );
  const { started, major, count, changes } = rows[0]!;
  return { serverStarted: started, largeObjects: { count, changes }, exact: major >= EXACT_COUNTERS };
}

async function readSequences(client: ClientBase): Promise<Contents['sequences']> {
  const { rows } = await client.query<SequenceContents & { oid: string }>(
    `SELECT c.oid::text AS oid, format('%I.%I', s.schemaname, s.sequencename) AS name, s.last_value::float8 * sign(s.increment_by) AS last,
            (SELECT d.refobjid::text FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') LIMIT 1) AS table
       FROM pg_sequences s JOIN pg_namespace n ON n.nspname = s.schemaname
       JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
      WHERE s.schemaname <> 'durable_runbooks'`,
  );
  return Object.fromEntries(rows.map(({ oid, ...sequence }) => [oid, sequence]));
}
