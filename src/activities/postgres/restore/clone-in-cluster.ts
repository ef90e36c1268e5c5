import { escapeIdentifier } from 'pg';
import type { ScratchRef } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';

/** Copies the files of a database of a disposable cluster, replacing an earlier copy of that name. Returns its bytes. */
export async function cloneInCluster(deps: ActivityDeps, from: ScratchRef, to: ScratchRef): Promise<number> {
  return withClient(
    deps,
    { ...from, database: 'postgres' },
    async (client) => {
      const { rows } = await client.query<{ num: number }>(
        `SELECT current_setting('server_version_num')::int AS num`,
      );
      // FILE_COPY reads nothing through the buffers; from 15 on it has to be asked for, before it was the only way.
      const strategy = (rows[0]?.num ?? 0) >= 150000 ? 'STRATEGY = FILE_COPY' : '';
      await client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(to.database)} WITH (FORCE)`);
      await client.query(
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
          WHERE datname = $1 AND backend_type = 'client backend' AND pid <> pg_backend_pid()`,
        [from.database],
      );
      await client.query(
        `CREATE DATABASE ${escapeIdentifier(to.database)} TEMPLATE ${escapeIdentifier(from.database)} ${strategy}`,
      );
      const size = await client.query<{ bytes: string }>('SELECT pg_database_size($1)::text AS bytes', [
        to.database,
      ]);
      return Number(size.rows[0]?.bytes);
    },
    { identity: true, statementTimeoutMs: 0, action: `clone ${from.database}` },
  );
}
