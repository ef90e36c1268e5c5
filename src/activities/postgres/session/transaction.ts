import type { ClientBase } from 'pg';
import { fail, sqlStateOf } from '../../support/failure';

export interface TransactionOptions {
  /** Statement that begins it. Default `BEGIN`. */
  begin?: string;
  /** Ends it when the body is done. Default a plain COMMIT; see `commit`. */
  commit?: () => Promise<unknown>;
}

/**
 * BEGIN, `body`, COMMIT on a session that is in no transaction; ROLLBACK when one of them throws. The first error is the
 * one that comes out, also where the rollback fails too: it explains what happened, and the end of the session rolls back.
 */
export async function inTransaction<T>(
  client: ClientBase,
  body: () => Promise<T>,
  { begin = 'BEGIN', commit: end = () => client.query('COMMIT') }: TransactionOptions = {},
): Promise<T> {
  await client.query(begin);
  try {
    const result = await body();
    await end();
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/**
 * COMMIT that tells a lost connection from a refusal. Throws DatabaseUnreachable (tried again) with
 * `{ outcomeUnknown: true }` in its details: read the state again, never assume.
 */
export async function commit(client: ClientBase, action: string): Promise<void> {
  try {
    await client.query('COMMIT');
  } catch (error) {
    const sqlState = sqlStateOf(error);
    if (sqlState !== undefined && !/^(57|08)/.test(sqlState)) throw error;
    throw fail(
      'DatabaseUnreachable',
      `The connection was lost while committing (${action}): the outcome is unknown.`,
      { retryable: true, details: { outcomeUnknown: true } },
    );
  }
}
