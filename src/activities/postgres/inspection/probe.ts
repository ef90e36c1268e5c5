import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import type { Place } from '../../../contract/place';

/** Whether a database serves anybody, and how many connections are left. */
export interface DatabaseProbe {
  reachable: boolean;
  /** It answers, but has no connection left. */
  full: boolean;
  /** Highest share of connections in use: of the server's, or of what one role may have. Null where unknown. */
  utilisation: number | null;
  detail: string;
}

const FULL = /too many (clients|connections)|remaining connection slots|SQLSTATE 53300/i;

const QUERY = `
  SELECT what, used, allowed FROM (
    SELECT 'the server' AS what, count(*)::int AS used,
           current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS allowed
      FROM pg_stat_activity WHERE backend_type = 'client backend'
    UNION ALL
    SELECT 'role ' || rolname, count(*)::int, rolconnlimit
      FROM pg_roles JOIN pg_stat_activity ON usesysid = pg_roles.oid
     WHERE rolconnlimit > 0 GROUP BY rolname, rolconnlimit) AS found
  ORDER BY used::float8 / allowed DESC LIMIT 1`;

export function createProbeActivities(deps: ActivityDeps) {
  return {
    /**
     * A look at the database of an environment. Reads only; one that gives no answer is a fact and no error. Throws
     * InvalidInput and AuthenticationFailed, which say nothing about the database.
     */
    async probeDatabase(place: Place): Promise<DatabaseProbe> {
      try {
        return await withClient(
          deps,
          { kind: 'service', ...place },
          async (client) => {
            const { rows } = await client.query<{ what: string; used: number; allowed: number }>(QUERY);
            const { what, used, allowed } = rows[0]!;
            const detail = `answers; ${used} of ${allowed} connections of ${what} are in use`;
            return { reachable: true, full: false, utilisation: used / allowed, detail };
          },
          { readOnly: true, statementTimeoutMs: 5_000, action: 'look at the connections' },
        );
      } catch (error) {
        const { message, type } = error as Error & { type?: string };
        if (type !== 'DatabaseUnreachable') throw error;
        const full = FULL.test(message);
        return { reachable: false, full, utilisation: full ? 1 : null, detail: message };
      }
    },
  };
}
