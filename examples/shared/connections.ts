import type { Pool } from 'pg';

export interface DatabaseConnections {
  /** What the server admits in all. */
  limit: number;
  /** Sessions of clients on the whole server. */
  used: number;
  /** What the application's role may have: its own limit, or the server's. */
  allowed: number;
  /** Sessions of the application's role by state; one that shows nothing is `idle`. */
  states: Record<string, number>;
}

const STATES = ['active', 'idle', 'idle in transaction'];

/** The connections as the database counts them, with no more rights than the application has. */
export async function readConnections(pool: Pool): Promise<DatabaseConnections> {
  const { rows } = await pool.query<Omit<DatabaseConnections, 'states'> & { states: string[] }>(
    `SELECT s.limit, (SELECT count(*)::int FROM pg_stat_activity WHERE datid IS NOT NULL AND usesysid IS NOT NULL) AS used,
            CASE WHEN r.rolconnlimit < 0 THEN s.limit ELSE least(s.limit, r.rolconnlimit) END AS allowed,
            ARRAY(SELECT coalesce(state, 'idle') FROM pg_stat_activity WHERE usename = current_user) AS states
       FROM pg_roles r, (SELECT current_setting('max_connections')::int AS limit) s WHERE r.rolname = current_user`,
  );
  const { states, ...found } = rows[0]!;
  const counted = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const state of states) counted[state] = (counted[state] ?? 0) + 1;
  return { ...found, states: counted };
}

/** Statements of the application's role that have run for longer than a second, oldest first. */
export async function readSlowQueries(pool: Pool): Promise<{ seconds: number; query: string }[]> {
  const { rows } = await pool.query<{ seconds: number; query: string }>(
    `SELECT round(extract(epoch FROM clock_timestamp() - query_start)::numeric, 1)::float8 AS seconds, left(query, 200) AS query
       FROM pg_stat_activity
      WHERE usename = current_user AND state = 'active' AND pid <> pg_backend_pid()
        AND query_start < clock_timestamp() - interval '1 second'
      ORDER BY query_start LIMIT 20`,
  );
  return rows;
}
