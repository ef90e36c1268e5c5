import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { quoted } from './parse-tree';
import type { DatabaseRef } from '../../../contract/place';

interface Role {
  role: string;
  database: string;
  /** What new sessions of the role begin with in this database, as `name=value`. */
  settings: string[];
}

const OWN_ROLE = `
  SELECT current_user AS role, current_database() AS database,
         coalesce((SELECT setconfig FROM pg_db_role_setting
                    WHERE setrole = current_user::regrole
                      AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())), '{}') AS settings`;

/**
 * Runs `body` while new sessions of our role in this database begin with a `lock_timeout`: a migration tool's
 * connections take it from there, whatever driver it uses. They also notice when the tool was killed: else its last
 * statement would go on, and commit, long after the run has ended. Put back afterwards, also after a cancellation.
 * `leftOver`: an earlier run was killed and may have left its own behind.
 */
export async function withRoleLockTimeout<T>(
  deps: ActivityDeps,
  database: DatabaseRef,
  { timeoutMs, leftOver }: { timeoutMs: number; leftOver: boolean },
  body: () => Promise<T>,
): Promise<T> {
  const ours = { lock_timeout: `${timeoutMs}ms`, client_connection_check_interval: '2s' };
  const options = { identity: true, ignoreCancellation: true, action: 'set lock_timeout of the role' };
  const back = await withClient(
    deps,
    database,
    async (client) => {
      const { role, database: name, settings } = (await client.query<Role>(OWN_ROLE)).rows[0]!;
      const alter = `ALTER ROLE ${quoted(role)} IN DATABASE ${quoted(name)}`;
      await client.query(`${alter} SET lock_timeout = '${ours.lock_timeout}'`);
      // Not every platform of a server can see that.
      await client
        .query(`${alter} SET client_connection_check_interval = '${ours.client_connection_check_interval}'`)
        .catch(() => undefined);
      return Object.entries(ours).map(([setting, value]) => {
        const before = settings.find((one) => one.startsWith(`${setting}=`))?.slice(setting.length + 1);
        const keep = before !== undefined && !(leftOver && before === value);
        return `${alter} ${keep ? `SET ${setting} = '${before.replaceAll("'", "''")}'` : `RESET ${setting}`}`;
      });
    },
    options,
  );
  try {
    return await body();
  } finally {
    await withClient(
      deps,
      database,
      async (client) => {
        for (const statement of back) await client.query(statement);
      },
      options,
    );
  }
}
