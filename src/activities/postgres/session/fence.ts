import { escapeIdentifier, type ClientBase } from 'pg';
import { fail, sqlStateOf } from '../../support/failure';
import type { Fence } from '../../../contract/place';
import { BOOKKEEPING_SCHEMA, ensureBookkeeping, maintenanceSchema } from './bookkeeping';
import { endNamedSessions } from './own-sessions';
import { commit, inTransaction } from './transaction';
import { applicationName, currentActivity } from '../../support/heartbeat';

/**
 * Takes the fence of a target and holds it to the end of the transaction. Must be its first statement: reading a
 * token first and writing later lets an older holder in between. `holder` is the session's application_name, which
 * ends in `/<attempt>`: of two attempts of one activity the later one wins and ends the sessions of the earlier.
 * Throws StaleFencingToken (a newer token, or a later attempt, was there first) and FenceBusy (retryable).
 */
export async function takeFence(
  client: ClientBase,
  fence: Fence,
  attempt: number,
  holder: string,
  schema = BOOKKEEPING_SCHEMA,
): Promise<void> {
  const activity = withoutAttempt(holder);
  if (attempt > 1) await endEarlierAttempts(client, activity, attempt);
  const { rows } = await client
    .query<{ token: string }>(
      `INSERT INTO ${escapeIdentifier(schema)}.fence AS f (target, token, attempt, holder, taken_at)
       VALUES ($1, $2, $3, $4, clock_timestamp())
       ON CONFLICT (target) DO UPDATE
         SET token = excluded.token, attempt = excluded.attempt, holder = excluded.holder, taken_at = excluded.taken_at
         WHERE f.token < excluded.token
            OR (f.token = excluded.token AND (regexp_replace(f.holder, '/[0-9]+$', '') <> $5 OR f.attempt <= excluded.attempt))
       RETURNING token::text`,
      [fence.target, fence.token, attempt, holder, activity],
    )
    .catch((error: unknown) => {
      throw orBusy(error, fence);
    });
  if (rows.length > 0) return;
  throw fail(
    'StaleFencingToken',
    `${fence.target} belongs to a later holder than token ${fence.token} (attempt ${attempt}). Nothing was changed; start a new run.`,
  );
}

/**
 * Locks the fence to the end of the transaction where it is still the one that `holder` took and committed before.
 * Must be the first statement. Unlike `takeFence` it never takes it from another step of the same run.
 * Throws StaleFencingToken and FenceBusy (retryable).
 */
export async function keepFence(
  client: ClientBase,
  fence: Fence,
  holder: string,
  schema = BOOKKEEPING_SCHEMA,
): Promise<void> {
  const { rows } = await client
    .query<{ token: string; holder: string }>(
      `SELECT token::text, holder FROM ${escapeIdentifier(schema)}.fence WHERE target = $1 FOR UPDATE`,
      [fence.target],
    )
    .catch((error: unknown) => {
      throw orBusy(error, fence);
    });
  if (rows[0]?.token === String(fence.token) && rows[0].holder === holder) return;
  throw fail(
    'StaleFencingToken',
    `${fence.target} was taken over by ${rows[0]?.holder ?? 'nobody known'} (token ${rows[0]?.token ?? 'none'}) meanwhile. This attempt stops where it is; start a new run.`,
  );
}

function orBusy(error: unknown, { target }: Fence): unknown {
  if (sqlStateOf(error) !== '55P03') return error;
  return fail(
    'FenceBusy',
    `The fence of ${target} is held by another transaction of a run. This is tried again.`,
    { retryable: true },
  );
}

/** Highest token that this target was fenced with in the database of the session; 0 where there is none. */
export async function readFence(client: ClientBase, target: string): Promise<number> {
  const { rows } = await client.query<{ token: string }>(
    'SELECT coalesce(max(token), 0)::text AS token FROM durable_runbooks.fence WHERE target = $1',
    [target],
  );
  return Number(rows[0]?.token ?? 0);
}

function withoutAttempt(holder: string): string {
  return holder.replace(/\/\d+$/, '');
}

async function endEarlierAttempts(client: ClientBase, activity: string, attempt: number): Promise<void> {
  const earlier = Array.from({ length: attempt - 1 }, (_, index) => `${activity}/${index + 1}`);
  await endNamedSessions(client, earlier);
}

/**
 * Runs `body` in one transaction that holds the fence of a target from its first statement to its COMMIT: nobody newer
 * gets in before, and an older holder comes too late. What `body` does to the database is done with the fence or not at
 * all; a signal or a command that it sends is not taken back by the ROLLBACK, only kept from being sent by two at once.
 *
 * `client` is a session outside of a transaction (`withClient`); the bookkeeping is created where it is missing. An error
 * of `body` comes out as it is. Throws StaleFencingToken (a newer token, or a later attempt of this activity, was there
 * first; nothing was done), FenceBusy (tried again), and DatabaseUnreachable with `{ outcomeUnknown: true }` in its
 * details where the connection was lost at the COMMIT: read the state again, never assume.
 */
export async function underFence<T>(
  client: ClientBase,
  fence: Fence,
  body: () => Promise<T>,
  schema = BOOKKEEPING_SCHEMA,
): Promise<T> {
  await ensureBookkeeping(client, schema);
  return inTransaction(
    client,
    async () => {
      await takeFence(client, fence, currentActivity().attempt, applicationName(), schema);
      return body();
    },
    {
      // What was committed before the fence was free must be seen, whatever the default of the database is.
      begin: 'BEGIN ISOLATION LEVEL READ COMMITTED',
      commit: () => commit(client, `under the fence of ${fence.target}`),
    },
  );
}

/**
 * Takes the fence and lets its lock go: for work that cannot run inside a transaction (a dump, CREATE DATABASE, a program
 * of the configuration), which therefore looks at the token itself where it can. Throws as `underFence`.
 */
export async function fenceSession(client: ClientBase, fence: Fence): Promise<void> {
  await underFence(client, fence, async () => undefined);
}

/** The same in a maintenance database, for what creates, drops and renames databases from there. */
export async function fenceMaintenance(client: ClientBase, fence: Fence): Promise<void> {
  await underFence(client, fence, async () => undefined, await maintenanceSchema(client));
}
