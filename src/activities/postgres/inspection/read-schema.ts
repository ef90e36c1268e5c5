import { createHash } from 'node:crypto';
import type { ClientBase } from 'pg';
import { withTimeless, type SchemaFingerprint } from '../../../contract/schema-delta';
import { ACCESS_QUERIES } from './schema-access';
import { objectQueries } from './schema-objects';
import { RELATION_QUERIES } from './schema-relations';
import { withoutCasts } from './deparsed-text';

/**
 * Every object that a dump writes, except data, with ten hex digits of its definition. Not: system schemas, our own, what
 * belongs to an extension. With `portable` it may be compared with that of a restored copy: what a dump leaves out is
 * not in it, and what PostgreSQL deparses is taken without casts and parentheses, which it writes differently after a
 * restore. Needs a transaction; changes search_path in it.
 */
export async function readObjects(
  client: ClientBase,
  { portable = false }: { portable?: boolean } = {},
): Promise<SchemaFingerprint> {
  // Deparsed names are then qualified whatever the role's search_path is. Compiling this query takes longer than running it.
  const { rows: settings } = await client.query<{ major: number }>(
    `SELECT set_config('search_path', '', true), set_config('jit', 'off', true), current_setting('server_version_num')::int / 10000 AS major`,
  );
  const { rows } = await client.query<{ identity: string; definition: string; expression: string | null }>(
    schemaQuery(settings[0]!.major),
    [portable],
  );
  const objects = Object.fromEntries(
    rows.map(({ identity, definition, expression }) => {
      const text = portable && expression !== null ? withoutCasts(expression) : (expression ?? '');
      const timeless = portable ? text : text.replaceAll(MOMENT, "'…'");
      const hash = shortHash(`${definition} ${text}`);
      return [
        identity,
        timeless === text ? hash : withTimeless(hash, shortHash(`${definition} ${timeless}`)),
      ];
    }),
  );
  return { digest: digestOf(objects), objects };
}

/** What `DEFAULT 'now'` and the like become when they are made: a constant, another one each time. */
const MOMENT = /'(\d{4,}-\d\d-\d\d[^']*'(?=::(date|timestamp))|\d\d:\d\d:\d\d[^']*'(?=::time))/g;

function shortHash(text: string): string {
  return createHash('md5').update(text).digest('hex').slice(0, 10);
}

export function digestOf(objects: SchemaFingerprint['objects']): string {
  const lines = Object.entries(objects).map(([identity, hash]) => `${identity} ${hash}`);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

function schemaQuery(major: number): string {
  const queries = [...RELATION_QUERIES, ...objectQueries(major), ...ACCESS_QUERIES];
  return `
WITH schemas AS (
  SELECT oid, nspname, nspacl, nspowner FROM pg_namespace
   WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'durable_runbooks')
), owned AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), relations AS (
  SELECT c.*, s.nspname, format('%I.%I', s.nspname, c.relname) AS name FROM pg_class c JOIN schemas s ON s.oid = c.relnamespace
   WHERE NOT EXISTS (SELECT FROM owned WHERE classid = 'pg_class'::regclass AND objid = c.oid)
), routines AS (
  SELECT p.*, format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS name
    FROM pg_proc p JOIN schemas s ON s.oid = p.pronamespace
   WHERE NOT EXISTS (SELECT FROM owned WHERE classid = 'pg_proc'::regclass AND objid = p.oid)
), types AS (
  SELECT t.*, format('%I.%I', s.nspname, t.typname) AS name FROM pg_type t JOIN schemas s ON s.oid = t.typnamespace
   WHERE NOT EXISTS (SELECT FROM owned WHERE classid = 'pg_type'::regclass AND objid = t.oid)
), here AS (
  SELECT * FROM pg_database WHERE datname = current_database()
), objects (identity, definition, expression) AS (
  ${queries.join('\n  UNION ALL\n  ')}
)
SELECT identity, CASE WHEN length(definition) > 64 THEN md5(definition) ELSE coalesce(definition, '') END AS definition, expression
  FROM objects ORDER BY identity COLLATE "C"`;
}
