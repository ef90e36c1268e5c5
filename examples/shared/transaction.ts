import type { Pool, PoolClient } from 'pg';

/** Commits what `body` did, or rolls all of it back and throws what it threw. */
export async function inTransaction<T>(pool: Pool, body: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await body(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((lost: Error) => (broken = lost));
    throw error;
  } finally {
    // A connection that cannot even roll back is gone: the pool must not hand it out again.
    client.release(broken);
  }
}
