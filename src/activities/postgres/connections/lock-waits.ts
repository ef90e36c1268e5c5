import { serviceOf } from '../../../config/load';
import { scrub } from '../../../config/secrets';
import { MOST } from '../../../contract/checklist';
import type { Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { needStatistics } from '../tuning/statistics';
import { offenderParameters, OFFENDERS_SQL } from './session-rules';

/** A session that waits for a lock, and who keeps it waiting. */
export interface LockWait {
  pid: number;
  application: string;
  waitedMs: number;
  query: string;
  /** Empty where nobody does any more. */
  blockers: { pid: number; application: string; state: string }[];
}

/** One that takes longer than `connections.longQuerySeconds`, also where it may never be ended. */
export interface LongStatement {
  pid: number;
  application: string;
  since: string;
  query: string;
}

/** What is going on in a database at one moment. */
export function createActivityReaders(deps: ActivityDeps) {
  const options = (action: string) => ({ identity: true, readOnly: true, action });

  return {
    /** Who waits for a lock, longest first. Reads only. Throws MissingPrivilege, WrongDatabase, DatabaseUnreachable. */
    async readLockWaits({ service, environment }: Place): Promise<LockWait[]> {
      return withClient(
        deps,
        { kind: 'service', service, environment },
        async (client) => {
          await needStatistics(client);
          // Servers before 14 do not say since when: there it is the beginning of the statement.
          const { rows } = await client.query<LockWait>(
            `SELECT a.pid, coalesce(a.application_name, '') AS application, left(coalesce(a.query, ''), 200) AS query,
                    extract(epoch FROM clock_timestamp() - coalesce((w.lock ->> 'waitstart')::timestamptz, a.query_start))::float8 * 1000 AS "waitedMs",
                    (SELECT coalesce(json_agg(json_build_object('pid', b.pid, 'application', coalesce(b.application_name, ''),
                                                                'state', coalesce(b.state, ''))), '[]')
                       FROM pg_stat_activity b WHERE b.pid = ANY(pg_blocking_pids(a.pid))) AS blockers
               FROM pg_stat_activity a
               JOIN LATERAL (SELECT to_jsonb(l) AS lock FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted LIMIT 1) w ON true
              WHERE a.datname = current_database()
              ORDER BY "waitedMs" DESC LIMIT ${MOST}`,
          );
          return rows.map((row) => ({ ...row, query: oneLine(row.query) }));
        },
        options('look for lock waits'),
      );
    },

    /** Statements that run for too long now, longest first. Reads only. Throws as `readLockWaits`. */
    async readLongStatements({ service, environment }: Place): Promise<LongStatement[]> {
      const { connections } = serviceOf(deps.config, service);
      return withClient(
        deps,
        { kind: 'service', service, environment },
        async (client) => {
          await needStatistics(client);
          const { rows } = await client.query<LongStatement>(
            `SELECT pid, application, since, query FROM (${OFFENDERS_SQL}) found
              WHERE offence = 'long query' AND (untouchable IS NULL OR untouchable LIKE 'protected%' OR untouchable = 'superuser')
              ORDER BY since, pid LIMIT ${MOST}`,
            offenderParameters(connections),
          );
          return rows.map((row) => ({ ...row, query: oneLine(row.query) }));
        },
        options('look for statements that run for long'),
      );
    },

    /** Deadlocks that the server has counted in this database since its statistics were reset. Reads only. */
    async readDeadlocks({
      service,
      environment,
    }: Place): Promise<{ deadlocks: number; countedSince: string | null }> {
      return withClient(
        deps,
        { kind: 'service', service, environment },
        async (client) => {
          const { rows } = await client.query<{ deadlocks: number; countedSince: string | null }>(
            `SELECT deadlocks::float8 AS deadlocks, to_char(stats_reset AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS "countedSince"
               FROM pg_stat_database WHERE datname = current_database()`,
          );
          return rows[0]!;
        },
        options('read how many deadlocks there were'),
      );
    },
  };
}

/** It is told to everybody: what stands in quotes may be a password, or a person. */
export function oneLine(query: string): string {
  return scrub(query.replace(/\s+/g, ' ').trim())
    .replace(/\$\w*\$.*/, '***')
    .replace(/'[^']*'?/g, "'***'");
}
