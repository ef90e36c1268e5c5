import type { ClientBase } from 'pg';

/** One backend: its process ID may be given out again, the start with it is its own. */
export interface OpenSession {
  pid: number;
  startedAt: string;
}

/**
 * Ends the sessions of our own role that bear exactly one of these names, on the whole server; returns who was told to
 * end. They are chosen first and then told one by one: as a condition of the search the planner may call
 * pg_terminate_backend before it looks at the name, and so for every session of the server.
 */
export async function endNamedSessions(client: ClientBase, names: string[]): Promise<OpenSession[]> {
  const { rows } = await client.query<OpenSession>(
    `SELECT pid, backend_start::text AS "startedAt" FROM pg_stat_activity
      WHERE application_name = ANY($1) AND usename = current_user AND backend_type = 'client backend'
        AND pid <> pg_backend_pid()`,
    [names],
  );
  for (const session of rows) await tellToEnd(client, session);
  return rows;
}

/** Looks for it again by its start: the process ID of one that ended meanwhile may be somebody else's now. */
export async function tellToEnd(client: ClientBase, { pid, startedAt }: OpenSession): Promise<void> {
  await client.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND backend_start = $2::timestamptz',
    [pid, startedAt],
  );
}

/** Which of these are still there. */
export async function stillOpen(client: ClientBase, sessions: OpenSession[]): Promise<OpenSession[]> {
  const { rows } = await client.query<OpenSession>(
    `SELECT a.pid, a.backend_start::text AS "startedAt" FROM pg_stat_activity a
       JOIN unnest($1::int[], $2::timestamptz[]) AS told(pid, started) ON a.pid = told.pid AND a.backend_start = told.started`,
    [sessions.map(({ pid }) => pid), sessions.map(({ startedAt }) => startedAt)],
  );
  return rows;
}
