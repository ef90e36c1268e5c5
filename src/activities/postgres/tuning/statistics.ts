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
  replicas: string[];
  serverVersionNum: number;
  planner: Record<string, string>;
}

/**
 * A crash empties the statistics and a reset does; only for those of the whole server it is always known when. The later
 * of the two is a time since when everything was counted for certain. Throws MissingPrivilege.
 */
export async function readStatistics(client: ClientBase): Promise<Statistics> {
  await needStatistics(client);
  const { rows } = await client.query<Omit<Statistics, 'fenceToken' | 'replicas' | 'planner'>>(
    `SELECT current_database() AS database, current_setting('server_version_num')::int AS "serverVersionNum",
            to_char(since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "countedSince",
            extract(epoch FROM clock_timestamp() - since)::float8 / 86400 AS "countedDays"
       FROM (SELECT greatest(d.stats_reset, b.stats_reset) AS since
               FROM pg_stat_database d, pg_stat_bgwriter b WHERE d.datname = current_database()) s`,
  );
  return {
    ...rows[0]!,
    fenceToken: await highestFenceToken(client),
    replicas: (await readReplicas(client)).map(({ name }) => name),
    planner: await readPlanner(client),
  };
}

/** Without it the statements and sessions of others are empty, and nobody would seem to be slow. */
async function needStatistics(client: ClientBase): Promise<void> {
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
