import type { ClientBase } from 'pg';
import { scrub } from '../../../config/secrets';
import type { KnownStatement } from '../../../contract/tuning';
import { parseStatement, type ParsedStatement } from './wanted-columns';
import type { TableFacts } from './tables';

export type CountedStatement = KnownStatement & ParsedStatement & { rowsPerCall: number };

export interface CountedStatements {
  /** Absent where nobody counts them here: what a person has to do about it. */
  missing?: string;
  statements: CountedStatement[];
  /** Left out: too long for a history, or with what looks like a secret. */
  leftOut: number;
}

/** They end up in histories. */
const MAX_TEXT = 2_000;
const MAX_STATEMENTS = 300;

/** The statements of others on the users' tables that pg_stat_statements has counted: those that took most of the time. */
export async function readStatements(client: ClientBase, tables: TableFacts[]): Promise<CountedStatements> {
  const { view, preloaded, preload } = await findView(client);
  if (!preloaded || view === null)
    return { missing: howToEnable(preloaded, preload, view), statements: [], leftOut: 0 };
  // Names of the columns have changed with its versions.
  const { rows } = await client.query<{ id: string; text: string; calls: number; ms: number; rows: number }>(
    `SELECT s ->> 'queryid' AS id, min(s ->> 'query') AS text, sum((s ->> 'calls')::float8) AS calls,
            sum(coalesce(s ->> 'total_exec_time', s ->> 'total_time')::float8) AS ms, sum((s ->> 'rows')::float8) AS rows
       FROM (SELECT to_jsonb(p) AS s FROM ${view} p
              WHERE p.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND p.userid IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = session_user)) counted
      WHERE s ->> 'queryid' IS NOT NULL GROUP BY 1 ORDER BY 4 DESC LIMIT ${MAX_STATEMENTS}`,
  );
  const statements: CountedStatement[] = [];
  let leftOut = 0;
  for (const { id, text, calls, ms, rows: count } of rows) {
    const parsed = await parseStatement(text, tables);
    if (parsed === undefined || parsed.tables.length === 0) continue;
    if (text.length > MAX_TEXT || scrub(text) !== text) leftOut += 1;
    else statements.push({ id, text, calls, meanMs: ms / calls, rowsPerCall: count / calls, ...parsed });
  }
  return { statements, leftOut };
}

export async function findView(client: ClientBase) {
  const { rows } = await client.query<{
    view: string | null;
    preloaded: boolean;
    /** Null where our role may not see it. */
    preload: string | null;
  }>(
    `SELECT (SELECT format('%I.pg_stat_statements', n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
              WHERE e.extname = 'pg_stat_statements') AS view,
            EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max') AS preloaded,
            (SELECT setting FROM pg_settings WHERE name = 'shared_preload_libraries') AS preload`,
  );
  return rows[0]!;
}

export function howToEnable(preloaded: boolean, preload: string | null, view: string | null): string {
  const create = view === null ? 'CREATE EXTENSION pg_stat_statements;' : '';
  if (preloaded) return create;
  if (preload === null)
    return `add pg_stat_statements to shared_preload_libraries; restart the server; ${create}`.trim();
  const libraries = [...preload.split(',').map((one) => one.trim()), 'pg_stat_statements'].filter(
    (one) => one !== '',
  );
  const set = `ALTER SYSTEM SET shared_preload_libraries = ${libraries.map((one) => `'${one}'`).join(', ')};`;
  return `${set} restart the server; ${create}`.trim();
}

/** Calls and time of these statements so far; what was reset meanwhile has fewer than before. */
export async function readTimes(
  client: ClientBase,
  ids: string[],
): Promise<{ id: string; calls: number; totalMs: number }[]> {
  const { view, preloaded } = await findView(client);
  if (!preloaded || view === null) return [];
  const { rows } = await client.query<{ id: string; calls: number; totalMs: number }>(
    `SELECT s ->> 'queryid' AS id, sum((s ->> 'calls')::float8) AS calls,
            sum(coalesce(s ->> 'total_exec_time', s ->> 'total_time')::float8) AS "totalMs"
       FROM (SELECT to_jsonb(p) AS s FROM ${view} p
              WHERE p.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())) counted
      WHERE s ->> 'queryid' = ANY($1) GROUP BY 1`,
    [ids],
  );
  return rows;
}
