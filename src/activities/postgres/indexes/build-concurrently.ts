import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { DatabaseRef } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { fail, sqlStateOf } from '../../support/failure';
import { currentActivity } from '../../support/heartbeat';
import { processIdOf, withClient } from '../session/connection';
import { listBlockers } from '../session/sessions';

/** What is there under the name of an index. */
export interface IndexState {
  valid: boolean;
  /** Being built right now, or perhaps: what another role builds cannot be seen without pg_monitor. */
  building: boolean;
}

export interface ConcurrentBuild<T extends IndexState> {
  /** Qualified and quoted. */
  index: string;
  /** CREATE INDEX CONCURRENTLY. */
  statement: string;
  /** For messages, e.g. `shop/production`. */
  label: string;
  /** What to do where it takes too long. */
  next: string;
  read: (client: Client) => Promise<T | undefined>;
  /** Whether a failed try of this build can have left that. */
  isOurs: (found: T) => boolean;
}

/** SQL: whether somebody builds an index on the table `table`, among them perhaps `index`. Both are aliases of pg_class. */
export function buildingSql(index: string, table: string): string {
  return `EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database()
                     AND (p.index_relid = ${index}.oid OR p.relid IS NULL OR p.relid = ${table}.oid))`;
}

const ASK_EVERY_MS = 200;
/** Dropping waits for old transactions too; what stays is invalid, and the next try drops it. */
const CLEAN_UP_TIMEOUT_MS = 3_000;
const BLOCKERS_EVERY_MS = 2_000;
const DUPLICATE_NAME = '42P07';
const IN_VAIN = ['57014', '40P01'];

/** Waits for a build that goes on under that name. Returns what is there then, or what is still being built. */
export async function afterBuilds<T extends IndexState>(
  read: () => Promise<T | undefined>,
  patienceMs: number,
): Promise<T | undefined> {
  for (const until = Date.now() + patienceMs; ;) {
    const found = await read();
    if (found === undefined || found.valid || !found.building || Date.now() >= until) return found;
    await sleep(ASK_EVERY_MS, undefined, { signal: currentActivity().signal });
  }
}

/**
 * Builds an index in this session, which waits without a lock_timeout: any old snapshot counts as a lock here, and giving
 * up leaves an invalid index. What a failed try has left is dropped, before and after; never what somebody else builds.
 * Throws LockTimeout where it took too long, and else what the server says.
 */
export async function buildConcurrently<T extends IndexState>(
  deps: ActivityDeps,
  database: DatabaseRef,
  client: Client,
  build: ConcurrentBuild<T>,
): Promise<void> {
  const { index, statement, label, next } = build;
  let waitsFor = '';
  const watching = watchBlockers(deps, database, client, (found) => (waitsFor = found));
  try {
    const left = await build.read(client);
    if (left !== undefined && !left.valid && !left.building && build.isOurs(left))
      await dropConcurrently(client, index);
    await client.query(statement);
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    // That one is somebody else's.
    if (state === DUPLICATE_NAME) throw error;
    const gone = await dropLeftover(deps, database, build);
    if (!IN_VAIN.includes(state) || currentActivity().signal.aborted) throw error;
    const waited = waitsFor === '' ? '' : `; it waited for ${waitsFor}`;
    const stays = gone ? 'Nothing of it is left' : 'It is left as invalid, and the next run drops it';
    throw fail(
      'LockTimeout',
      `Index ${index} on ${label} was not built in time${waited}. ${stays}. End what it waits for, or ${next}, then start again.`,
    );
  } finally {
    clearInterval(watching);
  }
}

export async function dropConcurrently(client: Client, index: string): Promise<void> {
  await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${index}`);
}

/** Who holds it up shows only while it waits. */
function watchBlockers(
  deps: ActivityDeps,
  database: DatabaseRef,
  client: Client,
  tell: (found: string) => void,
): NodeJS.Timeout {
  const pid = processIdOf(client);
  const look = () =>
    withClient(deps, database, (watcher) => listBlockers(watcher, pid), { ignoreCancellation: true });
  return setInterval(() => {
    void look().then(
      (found) =>
        found.length > 0 &&
        tell(found.map((one) => `pid ${one.pid} (${one.application || one.user})`).join(', ')),
      () => undefined,
    );
  }, BLOCKERS_EVERY_MS);
}

/** Every write pays for an invalid index and no query gains by it. Returns whether nothing of it is left. */
async function dropLeftover<T extends IndexState>(
  deps: ActivityDeps,
  database: DatabaseRef,
  { index, read, isOurs }: ConcurrentBuild<T>,
): Promise<boolean> {
  const options = {
    identity: true,
    ignoreCancellation: true,
    lockTimeoutMs: 0,
    statementTimeoutMs: CLEAN_UP_TIMEOUT_MS,
  };
  const clean = async (client: Client): Promise<boolean> => {
    // The server tells of an error before it takes the build off its list.
    for (const until = Date.now() + CLEAN_UP_TIMEOUT_MS; ;) {
      const left = await read(client);
      if (left === undefined) return true;
      if (left.valid || !isOurs(left) || Date.now() >= until) return false;
      if (!left.building) break;
      await sleep(ASK_EVERY_MS);
    }
    await dropConcurrently(client, index);
    return true;
  };
  return withClient(deps, database, clean, options).catch(() => false);
}
