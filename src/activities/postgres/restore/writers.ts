import { escapeIdentifier, escapeLiteral, type Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { fail } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { listReadableSequences, listTables, readLargeObjectChanges } from '../backups/inventory';
import { endOnce } from './end-sessions';
import { inMaintenance, liveName } from './maintenance';
import { lockTarget, readReadOnlySetting } from './database-marks';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import type { QuietResult } from '../../../contract/backup';
import { fenceMaintenance } from '../session/fence';

export interface WritersInput extends Place {
  fence: Fence;
}

const END_WITHIN_MS = 15_000;

/**
 * Makes the live database read-only for every session that begins from now on, and ends those that began before. Readers come
 * back at once; whoever asks for a writing transaction by name still gets one. Safe to retry.
 * Throws MissingPrivilege (a role of its own setting, sessions that we may not end), StaleFencingToken.
 */
export async function closeToWriters(deps: ActivityDeps, input: WritersInput): Promise<{ ended: number }> {
  const name = liveName(deps, input);
  return onLive(deps, input, `make ${name} read-only`, async (client) => {
    await refuseOwnSettings(client, name);
    await client.query(`ALTER DATABASE ${escapeIdentifier(name)} SET default_transaction_read_only = on`);
    return { ended: await endThoseOfBefore(client, name) };
  });
}

/**
 * Where the database that is live now was made read-only: takes the setting back to what it was before, and ends the
 * sessions that began under it, which would stay read-only. Says whether a new session may write. Safe to retry.
 */
export async function openToWriters(
  deps: ActivityDeps,
  input: WritersInput & { setting: string | null },
): Promise<{ ended: number; takesWrites: boolean }> {
  const name = liveName(deps, input);
  const ended = await onLive(deps, input, `let ${name} take writes again`, async (client) => {
    const closed = (await readReadOnlySetting(client, name)) === 'on' && input.setting !== 'on';
    if (closed) {
      const to =
        input.setting === null
          ? 'RESET default_transaction_read_only'
          : `SET default_transaction_read_only = ${escapeLiteral(input.setting)}`;
      await client.query(`ALTER DATABASE ${escapeIdentifier(name)} ${to}`);
    }
    // An attempt that died after the statement has not ended them.
    return closed || currentActivity().attempt > 1 ? endThoseOfBefore(client, name) : 0;
  });
  return { ended, takesWrites: await takesWrites(deps, input) };
}

/** Whether a session that begins now on the live database may write. */
async function takesWrites(deps: ActivityDeps, place: Place): Promise<boolean> {
  return withClient(
    deps,
    databaseIn(place),
    async (client) => {
      const { rows } = await client.query<{ on: boolean }>(
        `SELECT current_setting('transaction_read_only')::bool AS on`,
      );
      return rows[0]?.on === false;
    },
    { identity: true, action: 'see whether it takes writes' },
  );
}

function onLive<T>(
  deps: ActivityDeps,
  input: WritersInput,
  action: string,
  body: (client: Client) => Promise<T>,
): Promise<T> {
  return withProgress({ phase: action, done: 0, total: 1, unit: 'statements' }, () =>
    inMaintenance(
      deps,
      input,
      async (client) => {
        await lockTarget(client, input.fence.target);
        await fenceMaintenance(client, input.fence);
        return body(client);
      },
      { action, lockTimeoutMs: 10_000 },
    ),
  );
}

/** A setting of a role in this database comes before that of the database, and would let the role go on writing. */
async function refuseOwnSettings(client: Client, name: string): Promise<void> {
  const { rows } = await client.query<{ role: string }>(
    `SELECT pg_get_userbyid(s.setrole) AS role FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS item
      WHERE s.setrole <> 0 AND (s.setdatabase = 0 OR d.datname = $1) AND item ~* '^default_transaction_read_only=(off|false|no|0)$'`,
    [name],
  );
  if (rows.length === 0) return;
  throw fail(
    'MissingPrivilege',
    `${rows.map(({ role }) => role).join(', ')} would go on writing to ${name}: ALTER ROLE ... SET default_transaction_read_only = off comes before the setting of the database. Reset it, or configure restore.stopWrites.`,
  );
}

async function endThoseOfBefore(client: Client, name: string): Promise<number> {
  const { rows } = await client.query<{ at: string }>('SELECT clock_timestamp()::text AS at');
  const before = rows[0]!.at;
  let ended = 0;
  for (let waitedMs = 0; ; waitedMs += 100) {
    const { sessions, refused } = await endOnce(client, [name], before);
    if (waitedMs === 0) ended = sessions.length;
    if (sessions.length + refused.length === 0) return ended;
    if (waitedMs >= END_WITHIN_MS)
      throw fail(
        'MissingPrivilege',
        `Sessions of before stay in ${name} and may go on writing: ${[...sessions, ...refused].join(', ')}. End them by hand, then start again.`,
        { retryable: true },
      );
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Sessions that ended have said what they did; one that idles says it up to ten seconds later. */
const QUIET_MS = { ended: 3_000, idle: 11_000 };
const WATCH_AT_MOST_MS = 40_000;

/**
 * Watches whether anybody still writes to the live database: counters of rows and large objects, sequences, and open
 * transactions that have written. Quiet is what did not move for three seconds, or for eleven where the sessions of before are
 * still open (`sessionsStay`). Reads only.
 */
export async function watchWrites(
  deps: ActivityDeps,
  place: Place & { sessionsStay?: boolean },
): Promise<QuietResult> {
  const quietMs = place.sessionsStay === true ? QUIET_MS.idle : QUIET_MS.ended;
  return withProgress({ phase: 'watch for writes', done: 0, total: 1, unit: 'statements' }, () =>
    withClient(
      deps,
      databaseIn(place),
      async (client) => {
        const startedAt = Date.now();
        let seen = await readMovement(client);
        const first = seen.changes;
        for (let since = Date.now(); ;) {
          if (Date.now() - since >= quietMs && seen.writers.length === 0)
            return { quiet: true, quietMs, changes: seen.changes - first, writers: [] };
          if (Date.now() - startedAt >= WATCH_AT_MOST_MS)
            return { quiet: false, quietMs, changes: seen.changes - first, writers: seen.writers };
          await new Promise((resolve) => setTimeout(resolve, 250));
          const now = await readMovement(client);
          if (now.key !== seen.key) since = Date.now();
          seen = now;
        }
      },
      { identity: true, readOnly: true, action: 'see whether writes have stopped' },
    ),
  );
}

async function readMovement(client: Client) {
  const tables = (await listTables(client)).filter(({ schema }) => schema !== 'durable_runbooks');
  const changes =
    tables.reduce((sum, { inserted, updated, deleted }) => sum + inserted + updated + deleted, 0) +
    (await readLargeObjectChanges(client));
  const { sequences } = await listReadableSequences(client);
  const values = sequences.map(({ lastValue }) => lastValue).join();
  const { rows } = await client.query<{ who: string }>(
    `SELECT pid || ' (' || coalesce(nullif(application_name, ''), backend_type) || ' of ' || coalesce(usename, 'the server') || ')' AS who
       FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_xid IS NOT NULL ORDER BY 1 LIMIT 10`,
  );
  const writers = rows.map(({ who }) => who);
  return { changes, writers, key: `${changes} ${values}` };
}
