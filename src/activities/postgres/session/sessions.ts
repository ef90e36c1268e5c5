import type { ClientBase } from 'pg';
import { scrub } from '../../../config/secrets';
import type { PreparedTransaction, Session } from '../../../contract/database';

interface Row {
  pid: number;
  application: string;
  user: string;
  state: string;
  age: number;
  query: string;
}

const COLUMNS = `
  a.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS user,
  coalesce(a.state, a.backend_type, '') AS state,
  greatest(0, extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change, a.backend_start)))::float8 AS age,
  left(coalesce(a.query, ''), 200) AS query`;

function toSession(row: Row): Session {
  return {
    pid: row.pid,
    application: row.application,
    user: row.user,
    state: row.state,
    ageSeconds: Math.round(row.age * 10) / 10,
    query: scrub(row.query.replace(/\s+/g, ' ').trim()),
  };
}

/**
 * Transactions of this database that are open for longer than `olderThanSeconds`, oldest first, at most 20: they
 * hold locks and snapshots that a migration will wait for.
 */
export async function listLongTransactions(client: ClientBase, olderThanSeconds = 30): Promise<Session[]> {
  const { rows } = await client.query<Row>(
    `SELECT ${COLUMNS} FROM pg_stat_activity a
      WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.xact_start IS NOT NULL
        AND a.xact_start < clock_timestamp() - make_interval(secs => $1)
      ORDER BY a.xact_start LIMIT 20`,
    [olderThanSeconds],
  );
  return rows.map(toSession);
}

/** Transactions of this database that wait for a COMMIT PREPARED for longer than that, oldest first, at most 20. */
export async function listPreparedTransactions(
  client: ClientBase,
  olderThanSeconds = 30,
): Promise<PreparedTransaction[]> {
  const { rows } = await client.query<PreparedTransaction>(
    `SELECT left(gid, 200) AS gid, owner, to_char(prepared AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "preparedAt"
       FROM pg_prepared_xacts WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => $1)
      ORDER BY prepared LIMIT 20`,
    [olderThanSeconds],
  );
  return rows;
}

/** The sessions that the backend `pid` waits for at this moment, oldest transaction first. */
export async function listBlockers(client: ClientBase, pid: number): Promise<Session[]> {
  const { rows } = await client.query<Row>(
    `SELECT ${COLUMNS} FROM pg_stat_activity a WHERE a.pid = ANY(pg_blocking_pids($1)) ORDER BY a.xact_start NULLS LAST`,
    [pid],
  );
  return rows.map(toSession);
}

/** Client sessions in a database of this server, ours included, that of the caller excluded. */
export async function countClientSessions(client: ClientBase, database: string): Promise<number> {
  const { rows } = await client.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM pg_stat_activity
      WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    [database],
  );
  return rows[0]?.count ?? 0;
}
