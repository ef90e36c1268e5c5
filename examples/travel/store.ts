/** What the application does with its database, and how a request is refused. */
import { Pool, type PoolClient } from 'pg';
import { inTransaction } from '../shared/transaction';

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
    transaction: <T>(work: (client: PoolClient) => Promise<T>): Promise<T> => inTransaction(pool, work),
    connections: () => pool.totalCount,
    end: () => pool.end(),
  };
}
