import type { ClientBase } from 'pg';
import { fail } from '../../support/failure';
import { highestFenceToken } from '../session/bookkeeping';
import { readReplicas } from '../session/replicas';

/** Since when a server counts what it counts, and what it does not see. */
export interface Statistics {
  database: string;
  fenceToken: number;
  countedSince: string;
  countedDays: number;
  /** Nobody let us see how old the database is, so that it may have been counted for longer. */
  ageUnseen: boolean;
  replicas: string[];
  serverVersionNum: number;
  planner: Record<string, string>;
}

/**
 * A crash empties the statistics and a reset does; only for those of the whole server it is always known when. A database
 * that is younger than its server, as a restore makes one, has counted since it is there. The latest of these is a time
 * since when everything was counted for certain. Throws MissingPrivilege.
 */
export async function readStatistics(client: ClientBase): Promise<Statistics> {
  await needStatistics(client);
  const born = await bornAt(client);
  const { rows } = await client.query<Omit<Statistics, 'fenceToken' | 'replicas' | 'planner' | 'ageUnseen'>>(
    `SELECT current_database() AS database, current_setting('server_version_num')::int AS "serverVersionNum",
            to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "countedSince",
            extract(epoch FROM clock_timestamp() - since)::float8 / 86400 AS "countedDays"
       FROM (SELECT greatest(b.stats_reset, coalesce(d.stats_reset, $1::timestamptz, clock_timestamp())) AS since
               FROM pg_stat_database d, pg_stat_bgwriter b WHERE d.datname = current_database()) s`,
    [born.at],
  );
  return {
    ...rows[0]!,
    ageUnseen: born.unseen,
    fenceToken: await highestFenceToken(client),
    replicas: (await readReplicas(client)).map(({ name }) => name),
    planner: await readPlanner(client),
  };
}

/**
 * When this database was there for certain; null where nothing tells. Its own file says it best; else the first of all times
 * that its statistics still have, which no restore brings along.
 */
async function bornAt(client: ClientBase): Promise<{ at: string | null; unseen: boolean }> {
  const { rows } = await client.query<{ may: boolean; file: string; first: string | null }>(
    `SELECT has_function_privilege('pg_stat_file(text, boolean)', 'EXECUTE') AS may,
            regexp_replace(pg_relation_filepath('pg_class'), '[^/]+$', 'PG_VERSION') AS file,
            (SELECT min(at.value::timestamptz)::text
               FROM (SELECT relid, to_jsonb(t) AS counted FROM pg_stat_all_tables t
                     UNION ALL SELECT indexrelid, to_jsonb(i) FROM pg_stat_all_indexes i) s
               JOIN pg_class c ON c.oid = s.relid AND NOT c.relisshared
               CROSS JOIN LATERAL jsonb_each_text(s.counted) AS at
              WHERE at.key LIKE 'last\\_%' AND at.value IS NOT NULL) AS first`,
  );
  const { may, file, first } = rows[0]!;
  if (!may) return { at: first, unseen: true };
  const { rows: made } = await client.query<{ at: string | null }>(
    'SELECT (pg_stat_file($1, true)).modification::text AS at',
    [file],
  );
  return { at: made[0]?.at ?? first, unseen: false };
}

/** Without it the statements and sessions of others are empty, and nobody would seem to be slow. */
export async function needStatistics(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ me: string; may: boolean }>(
    `SELECT quote_ident(session_user) AS me, pg_has_role('pg_read_all_stats', 'USAGE') AS may`,
  );
  const { me, may } = rows[0]!;
  if (may) return;
  throw fail(
    'MissingPrivilege',
    `${me} may not see the statistics of others. As a superuser: GRANT pg_read_all_stats TO ${me};`,
  );
}

/** What makes the planner of this server choose otherwise than that of a new one. */
async function readPlanner(client: ClientBase): Promise<Record<string, string>> {
  const { rows } = await client.query<{ name: string; value: string }>(
    `SELECT name, current_setting(name) AS value FROM pg_settings
      WHERE (category LIKE 'Query Tuning%' OR name = 'work_mem') AND context = 'user'
        AND source NOT IN ('default', 'session') AND name <> 'plan_cache_mode'`,
  );
  return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
}

/** Said of everything that is judged by how often it was used. */
export function unseenReads({ replicas }: Pick<Statistics, 'replicas'>): string[] {
  if (replicas.length === 0) return [];
  return [
    `reads on replicas are not counted here: ask ${replicas.join(', ')} for idx_scan in pg_stat_user_indexes before an index is dropped`,
  ];
}
