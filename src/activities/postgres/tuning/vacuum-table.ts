import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { Fence, Place } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { fail, sqlStateOf } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { quoted } from '../migrations/parse-tree';
import { terminateEarlierAttempts, withClient } from '../session/connection';
import { fenceSession } from '../session/fence';
import { offPeakAt } from './off-peak';
import { readTableState } from './table-state';

export interface VacuumInput extends Place {
  table: string;
  fence: Fence;
}

export interface Vacuumed {
  table: string;
  done: boolean;
  /** Why it was left alone. */
  why: string;
  deadBefore: number;
  deadAfter: number;
  durationMs: number;
}

/** As autovacuum does it: slower, and the others hardly notice. */
const COST_DELAY = '2ms';
/** The server counts some moments later. */
const COUNTED_WITHIN_MS = 10_000;

/**
 * VACUUM (ANALYZE) of one table, never FULL, only while it is off-peak: it ends with that, unfinished. One that cannot have its lock is left alone and says who
 * holds it. A cancellation of the activity cancels it on the server. Safe to repeat. Throws TableGone, MissingPrivilege.
 */
export function vacuumTable(deps: ActivityDeps, input: VacuumInput): Promise<Vacuumed> {
  const { service, environment, table } = input;
  const { vacuum } = serviceOf(deps.config, service);
  const limitMs = vacuum.tableTimeoutMinutes * 60_000;
  const options = {
    identity: true,
    lockTimeoutMs: vacuum.lockTimeoutSeconds * 1_000,
    statementTimeoutMs: limitMs,
    action: `vacuum ${table}`,
  };
  return withProgress({ phase: `vacuum ${table}`, done: 0, total: 1, unit: 'tables' }, () =>
    withClient(
      deps,
      { kind: 'service', service, environment },
      async (client) => {
        await fenceSession(client, input.fence);
        await terminateEarlierAttempts(client);
        const before = await needTable(client, table, `${service}/${environment}`);
        const startedAt = Date.now();
        const left = (why: string): Vacuumed => ({
          ...{ table, done: false, why, deadBefore: before.deadRows, deadAfter: before.deadRows },
          durationMs: Date.now() - startedAt,
        });
        const { open, leftMs, window } = offPeakAt(new Date(), vacuum.offPeak);
        if (!open) return left(`it is not off-peak (${window}) any more`);
        const endsFirst = leftMs !== null && leftMs < limitMs;
        if (endsFirst)
          await client.query(`SELECT set_config('statement_timeout', $1, false)`, [
            String(Math.max(1, leftMs)),
          ]);
        await client.query(`SELECT set_config('vacuum_cost_delay', $1, false)`, [COST_DELAY]);
        try {
          await client.query(`VACUUM (ANALYZE) ${table}`);
        } catch (error) {
          currentActivity().signal.throwIfAborted();
          const state = sqlStateOf(error);
          if (state === '55P03')
            return left(
              `no lock within ${vacuum.lockTimeoutSeconds} s: ${await describeHolders(client, table)}`,
            );
          if (state === '57014')
            return left(
              endsFirst
                ? `not done before it was no longer off-peak (${window})`
                : `not done within ${vacuum.tableTimeoutMinutes} minutes (\`vacuum.tableTimeoutMinutes\`)`,
            );
          throw error;
        }
        if (endsFirst)
          await client.query(`SELECT set_config('statement_timeout', $1, false)`, [String(limitMs)]);
        const after = await counted(client, table, before.vacuums);
        const durationMs = Date.now() - startedAt;
        return { table, done: true, why: '', deadBefore: before.deadRows, deadAfter: after, durationMs };
      },
      options,
    ),
  );
}

/** Without the right to it VACUUM only warns, and passes the table over. */
async function needTable(client: Client, table: string, label: string) {
  const state = await readTableState(client, table);
  if (state === undefined)
    throw fail('TableGone', `There is no table ${table} on ${label} any more. Start a new run.`);
  const { rows } = await client.query<{ may: boolean; owner: string }>(
    `SELECT pg_get_userbyid(t.relowner) AS owner,
            pg_has_role(t.relowner, 'USAGE') OR pg_has_role(d.datdba, 'USAGE')
              OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(t.oid, 'MAINTAIN') ELSE false END AS may
       FROM pg_class t, pg_database d WHERE t.oid = to_regclass($1) AND d.datname = current_database()`,
    [table],
  );
  const { may, owner } = rows[0]!;
  if (may) return state;
  throw fail(
    'MissingPrivilege',
    `The role of the runbooks may not vacuum ${table} on ${label}. GRANT ${quoted(owner)} to it.`,
  );
}

async function counted(client: Client, table: string, vacuumsBefore: number): Promise<number> {
  for (const until = Date.now() + COUNTED_WITHIN_MS; ;) {
    const state = await readTableState(client, table);
    if (state === undefined) return 0;
    if (state.vacuums > vacuumsBefore || Date.now() > until) return state.deadRows;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Read after it gave up: who held it all the time still does. */
async function describeHolders(client: Client, table: string): Promise<string> {
  const { rows } = await client.query<{ who: string }>(
    `SELECT format('pid %s (%s) holds %s', l.pid, coalesce(nullif(a.application_name, ''), a.usename, a.backend_type), l.mode) AS who
       FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
      WHERE l.relation = to_regclass($1) AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.mode IN ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
        AND l.pid IS DISTINCT FROM pg_backend_pid() LIMIT 5`,
    [table],
  );
  return rows.length === 0 ? 'whoever held it has let go since' : rows.map(({ who }) => who).join(', ');
}
