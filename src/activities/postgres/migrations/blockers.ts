import type { ClientBase } from 'pg';
import { processIdOf } from '../session/connection';
import { scrub } from '../../../config/secrets';
import type { Session } from '../../../contract/database';
import type { ApplyRun } from './apply-run';
import { listBlockers } from '../session/sessions';
import { LOCKED_RELATIONS, lockedParameters } from './locked-relations';
import type { TableLock } from './table-locks';

/** Two prepared transactions have the same process ID. */
export function noteBlocker({ stats }: ApplyRun, session: Session): void {
  stats.blockers.set(session.pid === 0 ? session.application : session.pid, session);
}

export interface LockHolder extends Session {
  /** Gives way by itself when somebody waits for long enough. */
  yields: boolean;
}

/** https://www.postgresql.org/docs/current/explicit-locking.html: what a lock that stops writes has to wait for. */
const WRITERS = [
  'RowExclusiveLock',
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
];

// Without pg_read_all_stats most of such a row is NULL; autovacuum is then known by having no user.
/**
 * Who holds what `locks` would have to wait for, seen without asking for any lock. A prepared transaction has no session, so
 * its process ID is 0.
 */
export async function listHolders(client: ClientBase, locks: TableLock[]): Promise<LockHolder[]> {
  if (locks.length === 0) return [];
  const { rows } = await client.query<Session & { autovacuum: boolean }>(
    `WITH ${LOCKED_RELATIONS}
     SELECT DISTINCT ON (coalesce(a.pid, 0), p.gid) coalesce(a.pid, 0) AS pid,
            coalesce(a.application_name, format('prepared transaction %L', p.gid), '') AS application, coalesce(a.usename, p.owner, '') AS user,
            coalesce(a.state, a.backend_type, CASE WHEN p.gid IS NULL THEN '' ELSE 'prepared' END) AS state,
            coalesce(round(extract(epoch FROM clock_timestamp() - coalesce(p.prepared, a.xact_start, a.query_start, a.backend_start))::numeric, 1), 0)::float8 AS "ageSeconds",
            left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 200) AS query,
            coalesce(a.backend_type = 'autovacuum worker', a.usesysid IS NULL AND a.datid IS NOT NULL) AS autovacuum
       FROM locked AS wanted
       JOIN pg_locks l ON l.relation = wanted.oid AND l.locktype = 'relation' AND l.granted
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (wanted.blocks = 'reads' OR l.mode = ANY($4))
       LEFT JOIN pg_stat_activity a ON a.pid = l.pid
       LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.locktype = 'transactionid' AND x.virtualtransaction = l.virtualtransaction
       LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
      WHERE a.pid <> pg_backend_pid() OR p.gid IS NOT NULL
      ORDER BY coalesce(a.pid, 0), p.gid`,
    [...lockedParameters(locks), WRITERS],
  );
  return rows.map(({ autovacuum, ...session }) => ({
    ...session,
    query: scrub(session.query.trim()),
    // One that prevents wraparound does not give way.
    yields: autovacuum && !session.query.includes('to prevent wraparound'),
  }));
}

const WATCH_EVERY_MS = 50;

/** Whether the working session holds a lock that stops readers or writers of a table which others can see. */
export async function stopsOthers({ client, watcher }: ApplyRun): Promise<boolean> {
  const { rows } = await watcher.query(
    `SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
      WHERE l.pid = $1 AND l.locktype = 'relation' AND l.granted AND c.relnamespace <> 'pg_catalog'::regnamespace
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') LIMIT 1`,
    [processIdOf(client)],
  );
  return rows.length > 0;
}

/** Runs `body` and notes meanwhile whom the working session waits for; `onLook` is called at each look. */
export async function watchingBlockers<T>(
  run: ApplyRun,
  body: () => Promise<T>,
  onLook: () => Promise<void> = async () => undefined,
): Promise<T> {
  const pid = processIdOf(run.client);
  // Stopped at once when the body ends: meanwhile its locks are held.
  let stop = (): void => undefined;
  const stopped = new Promise<'stopped'>((resolve) => (stop = () => resolve('stopped')));
  const watch = async (): Promise<void> => {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const tick = new Promise<'tick'>(
        (resolve) => (timer = setTimeout(() => resolve('tick'), WATCH_EVERY_MS)),
      );
      const next = await Promise.race([stopped, tick]);
      clearTimeout(timer);
      if (next === 'stopped') return;
      const blockers = await listBlockers(run.watcher, pid);
      for (const session of blockers) noteBlocker(run, session);
      await onLook();
    }
  };
  // What cannot be watched is no reason to stop: the result only says less.
  const watching = watch().catch(() => undefined);
  try {
    return await body();
  } finally {
    stop();
    await watching;
  }
}

/** For people: who, since when, doing what. */
export function describeBlockers(blockers: Iterable<Session>): string {
  const all = [...blockers];
  if (all.length === 0)
    return 'Nobody was seen holding it: a prepared transaction does not show (look at pg_prepared_xacts)';
  return all
    .slice(0, 5)
    .map(({ pid, application, user, state, ageSeconds, query }) => {
      const since = new Date(Date.now() - ageSeconds * 1_000).toISOString().slice(0, 19).replace('T', ' ');
      if (pid === 0)
        return `${application} of ${user} since ${since} UTC, which only COMMIT PREPARED or ROLLBACK PREPARED ends`;
      return `pid ${pid} (${[application, user].filter((text) => text !== '').join(', ')}; ${state}) since ${since} UTC: ${query}`;
    })
    .join('; ');
}
