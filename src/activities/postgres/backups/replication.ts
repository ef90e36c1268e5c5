import type { ClientBase } from 'pg';
import type { Replication } from '../../../contract/backup';

/** Logical slots and subscriptions of a database, as seen from any database of its server. */
export async function readReplication(client: ClientBase, database: string): Promise<Replication> {
  const { rows: version } = await client.query<{ num: number }>(
    `SELECT current_setting('server_version_num')::int AS num`,
  );
  const num = version[0]!.num;
  const { rows } = await client.query<Replication>(
    `SELECT (SELECT coalesce(json_agg(json_build_object('name', slot_name, 'plugin', plugin,
                      'twoPhase', ${num >= 140000 ? 'two_phase' : 'false'}, 'failover', ${num >= 170000 ? 'failover' : 'false'})
                    ORDER BY slot_name), '[]')
               FROM pg_replication_slots WHERE database = $1 AND NOT temporary) AS slots,
            (SELECT coalesce(json_agg(json_build_object('name', subname, 'publications', subpublications,
                      'slot', subslotname, 'enabled', subenabled) ORDER BY subname), '[]')
               FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = $1) AS subscriptions`,
    [database],
  );
  return rows[0]!;
}
