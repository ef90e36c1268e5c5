/** Which sessions may be ended at all. The same SQL tells it when a plan is made and at the moment of ending. */

const utc = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/** Programs that copy or repair a database: what they have done so far would be lost, and they end by themselves. */
const MAINTENANCE_PROGRAMS =
  '^(pg_dump|pg_dumpall|pg_restore|pg_basebackup|pg_receivewal|pg_recvlogical|pg_amcheck|vacuumdb|reindexdb|clusterdb|pg_repack|pgbackrest|barman|wal-g)';

/** Why a session is never touched; NULL for all others. Backends that are no clients have no role: they come first. */
const UNTOUCHABLE = `
  CASE
    WHEN a.pid = pg_backend_pid() OR a.application_name LIKE 'dr:%' OR a.usename = session_user THEN 'a runbook''s own'
    WHEN a.backend_type IS DISTINCT FROM 'client backend' THEN coalesce(a.backend_type, 'unknown to us')
    WHEN r.rolsuper IS NOT FALSE THEN 'superuser'
    WHEN r.rolreplication THEN 'replication'
    WHEN a.usename = ANY($1::text[]) THEN 'protected user'
    WHEN a.application_name = ANY($2::text[]) THEN 'protected application'
    WHEN a.application_name ~* '${MAINTENANCE_PROGRAMS}' THEN 'backup or maintenance'
    WHEN a.pid IN (SELECT pid FROM pg_stat_progress_vacuum UNION ALL SELECT pid FROM pg_stat_progress_create_index
                   UNION ALL SELECT pid FROM pg_stat_progress_cluster UNION ALL SELECT pid FROM pg_stat_progress_analyze)
      THEN 'backup or maintenance'
  END`;

/** `since` is what makes an offence one: the same session in another transaction, or another query, is another one. */
const OFFENCE = `
  CASE
    WHEN a.state LIKE 'idle in transaction%' AND a.state_change < clock_timestamp() - make_interval(secs => $3)
      THEN 'idle in transaction'
    WHEN a.state = 'active' AND a.query_start < clock_timestamp() - make_interval(secs => $4) THEN 'long query'
  END`;

/**
 * Sessions of this database that are over a limit, as a subquery. $1: users and $2: applications that are protected;
 * $3: seconds idle in a transaction; $4: seconds of one query.
 */
export const OFFENDERS_SQL = `
  SELECT * FROM (
    SELECT a.pid, coalesce(a.application_name, '') AS application, coalesce(a.usename, '') AS "user", a.state,
           ${utc('a.backend_start')} AS "backendStart",
           ${utc(`CASE a.state WHEN 'active' THEN a.query_start ELSE a.state_change END`)} AS since,
           left(coalesce(a.query, ''), 200) AS query, ${OFFENCE} AS offence, ${UNTOUCHABLE} AS untouchable
      FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
     WHERE a.datname = current_database()) s
   WHERE offence IS NOT NULL`;

interface Limits {
  idleInTransactionSeconds: number;
  longQuerySeconds: number;
  protect: { users: string[]; applications: string[] };
}

/** The parameters of `offendersSql`. */
export function offenderParameters(limits: Limits): [string[], string[], number, number] {
  const { protect, idleInTransactionSeconds, longQuerySeconds } = limits;
  return [protect.users, protect.applications, idleInTransactionSeconds, longQuerySeconds];
}
