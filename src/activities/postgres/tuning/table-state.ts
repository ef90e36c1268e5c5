import type { ClientBase } from 'pg';
import type { VacuumConfig } from '../../../config/tuning-schema';
import type { TableState } from '../../../contract/tuning';
import { bytes, countOf, percent } from '../../../contract/text';
import { NOT_USERS } from './index-facts';

const utc = (column: string): string => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;

/**
 * What the rows would take if nothing lay between them: widths of the columns, the header of each row rounded to eight
 * bytes, its pointer, the header of each page, the fill factor. NULL where a column has no statistics yet.
 */
const NEEDED_BYTES = `
  (SELECT CASE WHEN count(*) FILTER (WHERE st.avg_width IS NULL) > 0 THEN NULL
          ELSE ceil(t.reltuples * (ceil((24 + sum((1 - st.null_frac) * st.avg_width)) / 8) * 8 + 4)
                    / ((current_setting('block_size')::float8 - 24) * fill.factor / 100)) * current_setting('block_size')::float8 END
     FROM pg_attribute a
     LEFT JOIN pg_stats st ON st.schemaname = n.nspname AND st.tablename = t.relname AND st.attname = a.attname AND NOT st.inherited
    WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped)`;

const TABLE_SQL = `
  SELECT format('%I.%I', n.nspname, t.relname) AS table, s.n_live_tup::float8 AS "liveRows", s.n_dead_tup::float8 AS "deadRows",
         pg_relation_size(t.oid)::float8 AS bytes,
         CASE WHEN t.reltuples > 0 THEN greatest(0, pg_relation_size(t.oid) - ${NEEDED_BYTES})::float8 END AS "bloatBytes",
         ${utc('s.last_vacuum')} AS "lastVacuum", ${utc('s.last_autovacuum')} AS "lastAutovacuum",
         NOT coalesce(options.autovacuum_enabled, true) AS "autovacuumOff",
         EXISTS (SELECT FROM pg_stat_progress_vacuum p WHERE p.relid = t.oid) AS running,
         age(t.relfrozenxid)::int AS age, current_setting('autovacuum_freeze_max_age')::int AS "freezeMaxAge",
         s.vacuum_count::int AS vacuums
    FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_stat_user_tables s ON s.relid = t.oid
   CROSS JOIN LATERAL (SELECT bool_and(o.option_value::bool) FILTER (WHERE o.option_name = 'autovacuum_enabled') AS autovacuum_enabled
                         FROM pg_options_to_table(t.reloptions) o) options
   CROSS JOIN LATERAL (SELECT coalesce(max(o.option_value::float8) FILTER (WHERE o.option_name = 'fillfactor'), 100) AS factor
                         FROM pg_options_to_table(t.reloptions) o) fill
   WHERE t.relkind IN ('r', 'm') AND t.relpersistence <> 't' AND NOT (${NOT_USERS})`;

type Row = TableState & { vacuums: number };

/** Every table of the users, the partitions among them; those with the most dead rows first. */
export async function readTableStates(client: ClientBase): Promise<TableState[]> {
  const { rows } = await client.query<Row>(`${TABLE_SQL} ORDER BY s.n_dead_tup DESC, 1`);
  return rows.map(({ vacuums: _, ...state }) => state);
}

/** One table as it is now; undefined where there is none of that name. */
export async function readTableState(client: ClientBase, table: string): Promise<Row | undefined> {
  const { rows } = await client.query<Row>(`${TABLE_SQL} AND t.oid = to_regclass($1)`, [table]);
  return rows[0];
}

export function isDue({ liveRows, deadRows }: TableState, { deadShare, minDeadRows }: VacuumConfig): boolean {
  return deadRows >= minDeadRows && deadRows > 0 && deadRows / (liveRows + deadRows) >= deadShare;
}

/** What no plain vacuum mends, or what keeps autovacuum from doing this by itself. */
export function findingsOf(tables: TableState[], config: VacuumConfig): string[] {
  return tables.flatMap((one) => {
    const { table, bloatBytes, bytes: size, autovacuumOff, age, freezeMaxAge } = one;
    const found: string[] = [];
    if (autovacuumOff)
      found.push(`autovacuum is off for ${table}: ALTER TABLE ${table} RESET (autovacuum_enabled);`);
    if (age > freezeMaxAge)
      found.push(
        `the oldest row of ${table} is ${age} transactions old, more than autovacuum_freeze_max_age (${freezeMaxAge}): autovacuum does not get through`,
      );
    if (bloatBytes !== null && size >= MIN_BLOATED_BYTES && bloatBytes / size >= config.bloatShare)
      found.push(
        `${table} seems to be empty by ${percent(bloatBytes / size, 0)} (${bytes(bloatBytes)}, estimated): a vacuum lets new rows use that and gives little back; VACUUM FULL or pg_repack would, and VACUUM FULL stops everybody meanwhile`,
      );
    return found;
  });
}

/** Below, an estimate by pages says nothing. */
const MIN_BLOATED_BYTES = 1_000_000;

/** Who keeps dead rows from being removed, or lets nobody remove them by itself. */
export async function readHindrances(client: ClientBase): Promise<string[]> {
  const { rows } = await client.query<{ what: string }>(
    `SELECT format('autovacuum is off on this server: ALTER SYSTEM SET autovacuum = on; SELECT pg_reload_conf();') AS what
       WHERE NOT current_setting('autovacuum')::bool
     UNION ALL
     SELECT format('pid %s (%s) has a transaction open since %s: what died since stays', pid,
                   coalesce(nullif(application_name, ''), usename, backend_type), ${utc('xact_start')})
       FROM pg_stat_activity
      WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database()
        AND xact_start < clock_timestamp() - interval '5 minutes' AND backend_type = 'client backend'
     UNION ALL
     SELECT format('replication slot %s holds back what may be removed', slot_name)
       FROM pg_replication_slots WHERE xmin IS NOT NULL
     UNION ALL
     SELECT format('prepared transaction %L is open since %s: what died since stays', left(gid, 200), ${utc('prepared')})
       FROM pg_prepared_xacts WHERE database = current_database()`,
  );
  return rows.map(({ what }) => what);
}

export function describeTable({
  deadRows,
  liveRows,
  lastVacuum,
  lastAutovacuum,
  autovacuumOff,
  running,
}: TableState): string {
  const share = percent(deadRows / Math.max(1, liveRows + deadRows), 0);
  const last =
    [lastVacuum, lastAutovacuum]
      .filter((one) => one !== null)
      .sort()
      .at(-1) ?? 'never since counted';
  const auto = running ? ', being vacuumed now' : autovacuumOff ? ', autovacuum off' : '';
  return `${countOf(deadRows, 'dead row')} (${share}), last vacuum ${last}${auto}`;
}
