import type { ClientBase } from 'pg';
import { fail, sqlStateOf } from '../../support/failure';
import type { Fence } from '../../../contract/place';
import type { Client } from '../../../../node_modules/@types/pg/index';
import { ensureBookkeeping } from './bookkeeping';
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
): Promise<void> {
  const activity = withoutAttempt(holder);
  if (attempt > 1) await endEarlierAttempts(client, activity, attempt);
  const { rows } = await client
    .query<{ token: string }>(
      `INSERT INTO durable_runbooks.fence AS f (target, token, attempt, holder, taken_at)
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
export async function keepFence(client: ClientBase, fence: Fence, holder: string): Promise<void> {
  const { rows } = await client
    .query<{ token: string; holder: string }>(
      'SELECT token::text, holder FROM durable_runbooks.fence WHERE target = $1 FOR UPDATE',
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
  await client.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = ANY($1) AND usename = current_user AND pid <> pg_backend_pid()`,
    [earlier],
  );
}
/**
 * Takes the fence in a transaction of its own: for work that cannot run inside one (dump, CREATE DATABASE, RENAME of
 * a database from outside). Throws StaleFencingToken. Creates the bookkeeping where it is missing.
 */
export async function fenceSession(client: Client, fence: Fence): Promise<void> {
  await ensureBookkeeping(client);
  await client.query('BEGIN');
  try {
    await takeFence(client, fence, currentActivity().attempt, applicationName());
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}
