import type { Client } from 'pg';
import type { ConnectionsConfig } from '../../../config/operation-schema';
import { scrub } from '../../../config/secrets';
import { highestFenceToken } from '../session/bookkeeping';
import { fail } from '../../support/failure';
import { offenderParameters, OFFENDERS_SQL } from './session-rules';

/** One session and what it does now: a session that moved on, or whose pid was given to another one, is not it. */
export interface SessionRef {
  pid: number;
  /** ISO times with microseconds, as the server tells them. */
  backendStart: string;
  since: string;
}

export interface Offender extends SessionRef {
  application: string;
  user: string;
  state: string;
  offence: 'idle in transaction' | 'long query';
  query: string;
}

/** How many connections somebody has, of how many. */
export interface ConnectionLimit {
  /** `server`, `database NAME` or `role NAME`. */
  name: string;
  used: number;
  limit: number;
}

/** A role that has more than half of what is used of the server, and could take the rest as well. */
export interface UnlimitedRole {
  role: string;
  used: number;
  /** What leaves the others their connections, and people theirs. */
  limit: number;
  /** For a superuser, or whoever has CREATEROLE and ADMIN of the role: we have neither. */
  statement: string;
  /** As it was before. */
  wayBack: string;
}

export interface SessionGroup {
  user: string;
  application: string;
  state: string;
  count: number;
  /** ISO time since when the longest of them is in this state. */
  since: string | null;
}

export interface ConnectionFacts {
  database: string;
  fenceToken: number;
  limits: ConnectionLimit[];
  unlimited?: UnlimitedRole | null;
  /** All client sessions of the server, largest group first; at most 30. */
  groups: SessionGroup[];
  /** May be ended, longest first; at most one more than may be ended at once. */
  offenders: Offender[];
  /** Over a limit too, but never touched; at most 20. */
  leftAlone: (Offender & { untouchable: string })[];
  /** Show in no session list and are never touched: somebody's transaction manager has to end them. */
  preparedTransactions: number;
  /** At most ten that are older than `idleInTransactionSeconds`, as COMMIT PREPARED and ROLLBACK PREPARED want them. */
  preparedNames?: string[];
  /** Of the configuration, as they were when this was read. */
  settings: Omit<ConnectionsConfig, 'protect'> & { maxDestructive: number };
}

/**
 * Who uses the connections of a server, and who uses them for too long. Throws MissingPrivilege: without it the rows of
 * others are empty, and nobody would seem to be over a limit.
 */
export async function readConnectionFacts(
  client: Client,
  config: ConnectionsConfig,
  maxDestructive: number,
): Promise<ConnectionFacts> {
  await needPrivileges(client);
  const { protect, ...settings } = config;
  const all = await readOffenders(client, config);
  const { rows } = await client.query<
    Pick<ConnectionFacts, 'database' | 'preparedTransactions' | 'preparedNames'>
  >(
    `SELECT current_database() AS database,
            (SELECT count(*)::int FROM pg_prepared_xacts WHERE database = current_database()) AS "preparedTransactions",
            (SELECT coalesce(array_agg(left(gid, 200)), '{}') FROM (
               SELECT gid FROM pg_prepared_xacts
                WHERE database = current_database() AND prepared < clock_timestamp() - make_interval(secs => $1)
                ORDER BY prepared LIMIT 10) oldest) AS "preparedNames"`,
    [config.idleInTransactionSeconds],
  );
  return {
    ...rows[0]!,
    fenceToken: await highestFenceToken(client),
    limits: await readLimits(client, protect.users),
    unlimited: await readUnlimited(client, protect.users, settings.reserve),
    groups: await readGroups(client),
    offenders: all
      .filter(({ untouchable }) => untouchable === null)
      .slice(0, maxDestructive + 1)
      .map(withoutReason),
    leftAlone: all.filter(isLeftAlone).slice(0, 20),
    settings: { ...settings, maxDestructive },
  };
}

/** Reading the sessions of others and ending them are two rights. Throws MissingPrivilege with the GRANT. */
export async function needPrivileges(client: Client): Promise<void> {
  const { rows } = await client.query<{ me: string; missing: string[] }>(
    `SELECT quote_ident(session_user) AS me,
            ARRAY(SELECT name FROM unnest('{pg_read_all_stats,pg_signal_backend}'::text[]) AS name
                   WHERE NOT pg_has_role(name, 'USAGE')) AS missing`,
  );
  const { me, missing } = rows[0]!;
  if (missing.length === 0) return;
  throw fail(
    'MissingPrivilege',
    `${me} may not see the sessions of others and end them. As a superuser: GRANT ${missing.join(', ')} TO ${me};`,
  );
}

type Row = Offender & { untouchable: string | null };

async function readOffenders(client: Client, config: ConnectionsConfig): Promise<Row[]> {
  const { rows } = await client.query<Row>(
    `${OFFENDERS_SQL} ORDER BY since, pid`,
    offenderParameters(config),
  );
  return rows.map((row) => ({ ...row, query: scrub(row.query.replace(/\s+/g, ' ').trim()) }));
}

function isLeftAlone(row: Row): row is Offender & { untouchable: string } {
  // The session that asks is always among them.
  return row.untouchable !== null && row.untouchable !== "a runbook's own";
}

function withoutReason({ untouchable: _, ...offender }: Row): Offender {
  return offender;
}

const SERVER_SLOTS = `current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0)`;

/** Slots of the server that anybody may take; limits of the database and of roles, where they have one. */
async function readLimits(client: Client, protectedUsers: string[]): Promise<ConnectionLimit[]> {
  const { rows } = await client.query<ConnectionLimit>(
    `WITH clients AS (SELECT datname, usename FROM pg_stat_activity WHERE backend_type = 'client backend')
     SELECT 'server' AS name, (SELECT count(*)::int FROM clients) AS used, ${SERVER_SLOTS} AS limit
     UNION ALL
     SELECT 'database ' || d.datname, (SELECT count(*)::int FROM clients c WHERE c.datname = d.datname), d.datconnlimit
       FROM pg_database d WHERE d.datname = current_database() AND d.datconnlimit > 0
     UNION ALL
     SELECT 'role ' || r.rolname, count(*)::int, r.rolconnlimit
       FROM pg_roles r JOIN clients c ON c.usename = r.rolname
      WHERE r.rolconnlimit > 0 AND NOT r.rolsuper AND r.rolname <> session_user AND r.rolname <> ALL($1::text[])
        AND EXISTS (SELECT FROM clients here WHERE here.usename = r.rolname AND here.datname = current_database())
      GROUP BY r.rolname, r.rolconnlimit`,
    [protectedUsers],
  );
  return rows;
}

/** Null where there is none, or where the others have so many connections that no limit of this one would help. */
async function readUnlimited(
  client: Client,
  protectedUsers: string[],
  reserve: number,
): Promise<UnlimitedRole | null> {
  const { rows } = await client.query<UnlimitedRole>(
    `WITH clients AS (SELECT usename FROM pg_stat_activity WHERE backend_type = 'client backend'),
       server AS (SELECT count(*)::int AS used, ${SERVER_SLOTS} AS slots FROM clients),
       roles AS (SELECT r.rolname, r.rolconnlimit, count(*)::int AS used
                   FROM pg_roles r JOIN clients c ON c.usename = r.rolname
                  WHERE NOT r.rolsuper AND r.rolname <> session_user AND r.rolname <> ALL($1::text[]) GROUP BY 1, 2)
     SELECT r.rolname AS role, r.used, new.limit, format('ALTER ROLE %I CONNECTION LIMIT %s', r.rolname, new.limit) AS statement,
            format('ALTER ROLE %I CONNECTION LIMIT %s', r.rolname, r.rolconnlimit) AS "wayBack"
       FROM roles r, server s, LATERAL (SELECT s.slots - (s.used - r.used) - $2::int AS limit) new
      WHERE r.used > s.used / 2.0 AND (r.rolconnlimit < 0 OR r.rolconnlimit >= s.slots) AND new.limit > 0`,
    [protectedUsers, reserve],
  );
  return rows[0] ?? null;
}

async function readGroups(client: Client): Promise<SessionGroup[]> {
  const { rows } = await client.query<SessionGroup>(
    `SELECT coalesce(usename, '') AS "user", coalesce(application_name, '') AS application, coalesce(state, '') AS state,
            count(*)::int AS count, to_char(min(state_change) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since
       FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
      GROUP BY 1, 2, 3 ORDER BY count DESC, 1, 2, 3 LIMIT 30`,
  );
  return rows;
}
