import type { ActivityDeps } from '../deps';
import { withClient } from '../support/connection';
import type { DatabaseRef } from '../types';
import { quoted } from './tree';

interface RoleSetting {
  role: string;
  database: string;
  previous: string | null;
}

/**
 * Runs `body` while new sessions of our role in this database begin with a `lock_timeout`: a migration tool's
 * connections take it from there, whatever driver it uses. Put back afterwards, also after a cancellation.
 * `leftOver`: an earlier run was killed and may have left its own behind.
 */
export async function withRoleLockTimeout<T>(
  deps: ActivityDeps,
  database: DatabaseRef,
  { timeoutMs, leftOver }: { timeoutMs: number; leftOver: boolean },
  body: () => Promise<T>,
): Promise<T> {
  const ours = `${timeoutMs}ms`;
  const options = { identity: true, ignoreCancellation: true, action: 'set lock_timeout of the role' };
  const { role, name, previous } = await withClient(
    deps,
    database,
    async (client) => {
      const { rows } = await client.query<RoleSetting>(
        `SELECT current_user AS role, current_database() AS database,
                (SELECT split_part(one, '=', 2) FROM pg_db_role_setting s, unnest(s.setconfig) AS one
                  WHERE s.setrole = current_user::regrole AND one LIKE 'lock_timeout=%'
                    AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())) AS previous`,
      );
      const found = rows[0]!;
      await client.query(
        `ALTER ROLE ${quoted(found.role)} IN DATABASE ${quoted(found.database)} SET lock_timeout = '${ours}'`,
      );
      return { ...found, name: found.database };
    },
    options,
  );
  try {
    return await body();
  } finally {
    const keep = previous !== null && !(leftOver && previous === ours);
    const back = keep ? `SET lock_timeout = '${previous.replaceAll("'", "''")}'` : 'RESET lock_timeout';
    await withClient(
      deps,
      database,
      (client) => client.query(`ALTER ROLE ${quoted(role)} IN DATABASE ${quoted(name)} ${back}`),
      options,
    );
  }
}
