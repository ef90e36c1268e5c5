import type { ClientBase } from 'pg';

/** A server that streams from this one. */
export interface Replica {
  name: string;
  /** At most this far behind; null where the role may not see it, or the replica has not said it yet. */
  lagSeconds: number | null;
}

/**
 * The physical replicas of the server, the slowest first. `replay_lag` alone stays as it was while a replica says nothing:
 * one that is behind is so for as long as it has been silent on top. It speaks at least every 10 s, so this is a bound.
 */
export async function readReplicas(client: ClientBase): Promise<Replica[]> {
  const { rows } = await client.query<Replica>(
    `SELECT coalesce(nullif(r.application_name, ''), host(r.client_addr), 'pid ' || r.pid) AS name,
            CASE WHEN r.replay_lsn IS NULL THEN NULL
                 WHEN r.replay_lsn >= current.lsn THEN 0
                 ELSE extract(epoch FROM coalesce(r.replay_lag, '0') + (clock_timestamp() - r.reply_time))::float8
            END AS "lagSeconds"
       FROM pg_stat_replication r
       LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid
      CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS lsn) current
      WHERE s.slot_type IS DISTINCT FROM 'logical' AND r.state IS DISTINCT FROM 'backup'
      ORDER BY 2 DESC NULLS LAST`,
  );
  return rows;
}
