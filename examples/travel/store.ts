/** What the application does with its database, and how a request is refused. */
import { Pool, type PoolClient } from 'pg';

/** What a customer gets to read, with the status of the answer. */
export class Refusal extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

export type Store = ReturnType<typeof createStore>;

export function createStore(connectionString: string) {
  const pool = new Pool({
    connectionString,
    max: 20,
    application_name: 'travel-api',
    connectionTimeoutMillis: 5_000,
    // Nobody waits for a departure for longer than that.
    lock_timeout: 2_000,
    statement_timeout: 10_000,
  });
  pool.on('error', () => undefined);
  return {
    query: async <Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> =>
      (await pool.query<Row>(text, values)).rows,
    async transaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
      const client = await pool.connect();
      try {
        await client.query('BEGIN');
        const done = await work(client);
        await client.query('COMMIT');
        client.release();
        return done;
      } catch (error) {
        await client.query('ROLLBACK').then(
          () => client.release(),
          (lost: Error) => client.release(lost),
        );
        throw error;
      }
    },
    connections: () => pool.totalCount,
    end: () => pool.end(),
  };
}
