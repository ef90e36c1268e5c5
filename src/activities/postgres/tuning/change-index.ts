import type { Client } from 'pg';
import { escapeLiteral } from 'pg';
import { serviceOf } from '../../../config/load';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import type { IndexChange } from '../../../contract/tuning';
import type { ActivityDeps } from '../../support/deps';
import { fail, sqlStateOf } from '../../support/failure';
import { applicationName, currentActivity } from '../../support/heartbeat';
import { afterBuilds, buildConcurrently, dropConcurrently } from '../indexes/build-concurrently';
import { claimOf } from '../indexes/claims';
import { replicasFollow } from '../migrations/replica-gate';
import { quoted } from '../migrations/parse-tree';
import { ensureBookkeeping } from '../session/bookkeeping';
import { withClient } from '../session/connection';
import { takeFence } from '../session/fence';
import { inTransaction } from '../session/transaction';
import { readIndex, readIndexes, type IndexFacts } from './index-facts';

export interface ChangeInput extends Place {
  change: IndexChange;
  fence: Fence;
}

export interface ChangedIndex {
  /** False: it was as wanted before, or somebody else has seen to it. */
  changed: boolean;
  /** Where somebody else has: what they did. */
  why?: string;
  bytes: number;
  durationMs: number;
}

const NOTHING: ChangedIndex = { changed: false, bytes: 0, durationMs: 0 };
const FENCE_TIMEOUT_MS = 5_000;
const CANCELLED = '57014';
/** A build of an earlier attempt ends as soon as its session is ended. */
const GONE_WITHIN_MS = 30_000;

/**
 * Runs `body` in a session of its own while another one holds the fence: no statement CONCURRENTLY runs in a transaction.
 * An earlier attempt of the activity is ended first, with what it was building.
 */
async function whileFenced<T>(
  deps: ActivityDeps,
  input: ChangeInput,
  body: (client: Client, label: string) => Promise<T>,
): Promise<T> {
  const database = databaseIn(input);
  const label = `${input.service}/${input.environment}`;
  const { buildTimeoutMinutes } = tuningOf(deps, input);
  const action = `${input.change.kind} index ${input.change.index}`;
  return withClient(
    deps,
    database,
    async (guard) => {
      await ensureBookkeeping(guard);
      return inTransaction(guard, async () => {
        await takeFence(guard, input.fence, currentActivity().attempt, applicationName());
        // A result that was returned keeps its snapshot until the next statement, and a build waits for every snapshot.
        await guard.query('SELECT 1');
        // Without a lock_timeout: any old snapshot counts as a lock here, and giving up leaves an invalid index.
        const patient = {
          identity: true,
          lockTimeoutMs: 0,
          statementTimeoutMs: buildTimeoutMinutes * 60_000,
          action,
        };
        return withClient(deps, database, (client) => body(client, label), patient);
      });
    },
    { identity: true, lockTimeoutMs: FENCE_TIMEOUT_MS, idleInTransactionTimeoutMs: 0, action },
  );
}

const tuningOf = (deps: ActivityDeps, { service }: Place) => serviceOf(deps.config, service).tuning;

/**
 * Builds an index CONCURRENTLY, or finds it built; what a failed try of it has left is dropped first. Fails with nothing
 * left of it. `again`: only where this run has dropped it. Throws IndexConflict (something else has that name), LockTimeout, MissingPrivilege, ReplicaLag.
 */
export function buildIndex(
  deps: ActivityDeps,
  input: ChangeInput & { again?: boolean },
): Promise<ChangedIndex> {
  const { change, fence, again = false } = input;
  return whileFenced(deps, input, async (client, label) => {
    const startedAt = Date.now();
    await needOwner(client, change, label);
    const there = await settled(client, change, tuningOf(deps, input).unusedDays);
    if (there !== undefined) refuseOther(there, change, label);
    const changed = there?.valid !== true;
    if (again && there === undefined && !(await claimOf(client, fence, change.index, 'drop').isClaimed()))
      return { ...NOTHING, why: 'somebody else has dropped it, so it stays gone' };
    if (changed) {
      const { migrations } = serviceOf(deps.config, input.service);
      await replicasFollow({
        client,
        settings: migrations,
        label,
        stays: `${change.index} was not built`,
        report: () => undefined,
      });
      if (!again) await claimOf(client, fence, change.index, 'build').claim();
      await build(deps, input, client, label);
    }
    if (change.comment !== null)
      await client.query(`COMMENT ON INDEX ${change.index} IS ${escapeLiteral(change.comment)}`);
    const built = await readIndex(client, change.index, 0);
    if (built?.valid !== true)
      throw fail(
        'IndexInvalid',
        `Index ${change.index} on ${label} is not valid though the server reported success. Start again.`,
      );
    return { changed, bytes: built.bytes, durationMs: Date.now() - startedAt };
  });
}

function build(deps: ActivityDeps, input: ChangeInput, client: Client, label: string): Promise<void> {
  const { change } = input;
  const { index, definition, tablespace } = change;
  const text = definition.replace(/^CREATE (UNIQUE )?INDEX /, 'CREATE $1INDEX CONCURRENTLY ');
  return buildConcurrently(deps, databaseIn(input), client, {
    ...{ index, label },
    statement: tablespace === null ? text : withTablespace(text, tablespace),
    next: 'raise `tuning.buildTimeoutMinutes`',
    read: (session) => readIndex(session, index, 0),
    isOurs: (found) => isSame(found, change),
  });
}

/** pg_get_indexdef has none; its place is after WITH and before WHERE. */
function withTablespace(text: string, tablespace: string): string {
  const clause = ` TABLESPACE ${quoted(tablespace)}`;
  const where = text.indexOf(' WHERE ');
  return where < 0 ? text + clause : text.slice(0, where) + clause + text.slice(where);
}

/**
 * Drops an index CONCURRENTLY that is still the planned one and still spare, or finds it gone. `ours`: only where this run
 * has built it, so that it may have been used meanwhile. Throws IndexConflict, IndexInUse, LockTimeout, MissingPrivilege.
 */
export function dropIndex(
  deps: ActivityDeps,
  input: ChangeInput & { ours?: boolean },
): Promise<ChangedIndex> {
  const { change, fence, ours = false } = input;
  return whileFenced(deps, input, async (client, label) => {
    const startedAt = Date.now();
    await needOwner(client, change, label);
    const there = await settled(client, change, tuningOf(deps, input).unusedDays);
    const dropped = claimOf(client, fence, change.index, 'drop');
    if (there === undefined)
      // Of an attempt whose answer was lost.
      return ours || (await dropped.isClaimed())
        ? { ...NOTHING, changed: !ours }
        : { ...NOTHING, why: 'somebody else has dropped it' };
    refuseOther(there, change, label);
    if (ours && !(await claimOf(client, fence, change.index, 'build').isClaimed()))
      return { ...NOTHING, why: 'somebody else has built it, so it stays' };
    if (!ours) {
      refuseNeeded(input, there, await readIndexes(client, 0));
      await dropped.claim();
    }
    await dropConcurrently(client, change.index).catch((error: unknown) =>
      halfDropped(client, change, label, error),
    );
    return { changed: true, bytes: there.bytes, durationMs: Date.now() - startedAt };
  });
}

/** What is not dropped in time is invalid already: its first step is over, and it waits for old transactions. */
async function halfDropped(
  client: Client,
  { index }: IndexChange,
  label: string,
  error: unknown,
): Promise<never> {
  if (sqlStateOf(error) !== CANCELLED || currentActivity().signal.aborted) throw error;
  const left = await readIndex(client, index, 0);
  if (left?.valid !== false) throw error;
  throw fail(
    'LockTimeout',
    `Index ${index} on ${label} was not dropped in time, and is invalid now: no query uses it, and every write still pays for it. End the old transactions, then DROP INDEX CONCURRENTLY ${index}; or, to keep it, REINDEX INDEX CONCURRENTLY ${index};`,
  );
}

function refuseNeeded(
  { change, service, environment }: ChangeInput,
  there: IndexFacts,
  all: IndexFacts[],
): void {
  const why = there.keptBecause ?? neededNow(change, there, all);
  if (why === null) return;
  throw fail(
    'IndexInUse',
    `Index ${change.index} on ${service}/${environment} is needed: ${why}. It was not dropped. Start a new run.`,
  );
}

/** Why it is needed though it was not when it was planned. */
function neededNow(change: IndexChange, there: IndexFacts, all: IndexFacts[]): string | null {
  if (change.invalid === true) return there.valid ? 'it is valid by now' : null;
  if (change.needless === true) {
    const { table, shape, index } = there;
    const stays = all.some(
      (one) => one.valid && one.index !== index && one.table === table && one.shape === shape,
    );
    return stays ? null : 'no valid index is left that finds the same';
  }
  return there.valid && there.scans > 0 ? `it was scanned meanwhile, ${there.allScans} times in all` : null;
}

/** Waits for the build of an earlier attempt to end; somebody else's is refused. */
async function settled(
  client: Client,
  { index }: IndexChange,
  unusedDays: number,
): Promise<IndexFacts | undefined> {
  const found = await afterBuilds(() => readIndex(client, index, unusedDays), GONE_WITHIN_MS);
  if (found === undefined || found.valid || !found.building) return found;
  throw fail(
    'LockTimeout',
    `Index ${index} is being built by another session (look at pg_stat_progress_create_index). Nothing was changed. Start again when it has ended.`,
  );
}

function refuseOther(there: IndexFacts, change: IndexChange, label: string): void {
  if (isSame(there, change)) return;
  throw fail(
    'IndexConflict',
    `Index ${change.index} on ${label} is another one now: ${there.definition}. Nothing was changed. Start a new run.`,
  );
}

/** How names are quoted is no difference. */
function isSame({ table, definition }: IndexFacts, change: IndexChange): boolean {
  const plain = (text: string) => text.replaceAll('"', '');
  return plain(table) === plain(change.table) && plain(definition) === plain(change.definition);
}

async function needOwner(client: Client, { table }: IndexChange, label: string): Promise<void> {
  const { rows } = await client.query<{ owner: string; may: boolean }>(
    `SELECT pg_get_userbyid(relowner) AS owner, pg_has_role(relowner, 'USAGE') AS may FROM pg_class WHERE oid = to_regclass($1)`,
    [table],
  );
  const [found] = rows;
  if (found === undefined)
    throw fail('IndexConflict', `There is no table ${table} on ${label} any more. Start a new run.`);
  if (!found.may)
    throw fail(
      'MissingPrivilege',
      `Only ${found.owner} may change the indexes of ${table} on ${label}. GRANT ${quoted(found.owner)} to the role of the runbooks.`,
    );
}
