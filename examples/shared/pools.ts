import { Pool, type PoolClient } from 'pg';

export interface AppPools {
  /** The connections that serve customers. Ask each time: a restart puts another pool in its place. */
  current: () => Pool;
  /** One warm connection for questions about the connections, which must be answered when none is left. */
  monitor: Pool;
  max: () => number;
  /** Takes effect at once; connections above a lower limit close when they have been idle for a while. */
  setMax: (max: number) => void;
  /** New connections for new requests; the old ones get a moment to finish and are then closed, stuck or not. */
  restart: () => Promise<void>;
  counts: () => { idle: number; busy: number; waiting: number };
  end: () => Promise<void>;
}

const PATIENCE_MS = 1_000;

/**
 * The connections of the application. `name` is what the server knows
 * them by. The pool is opened lazily, so this cannot fail.
 */
export function openPools(databaseUrl: string, firstMax: number, name: string): AppPools {
  let max = firstMax;
  let generation = openGeneration(databaseUrl, max, name);
  const monitor = new Pool({
    connectionString: databaseUrl,
    application_name: `${name}-monitor`,
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 2_000,
    statement_timeout: 2_000,
  });
  survive(monitor);
  // Now, while there is one to be had. Without a database the first question opens it.
  monitor.query('SELECT 1').catch(() => undefined);
  return {
    current: () => generation.pool,
    monitor,
    max: () => max,
    setMax: (wanted) => {
      max = wanted;
      generation.pool.options.max = wanted;
    },
    restart: async () => {
      const old = generation;
      generation = openGeneration(databaseUrl, max, name);
      await old.close(PATIENCE_MS);
    },
    counts: () => {
      const { totalCount, idleCount, waitingCount } = generation.pool;
      return { idle: idleCount, busy: totalCount - idleCount, waiting: waitingCount };
    },
    end: async () => {
      await Promise.all([generation.close(PATIENCE_MS), monitor.end()]);
    },
  };
}

function openGeneration(connectionString: string, max: number, name: string) {
  const pool = new Pool({
    connectionString,
    application_name: name,
    max,
    connectionTimeoutMillis: 2_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 5_000,
    keepAlive: true,
  });
  survive(pool);
  const clients = new Set<PoolClient & { end?: () => Promise<void> }>();
  pool.on('connect', (client) => clients.add(client));
  pool.on('remove', (client) => clients.delete(client));
  return {
    pool,
    close: async (patienceMs: number): Promise<void> => {
      const ended = pool.end();
      const patience = new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref());
      await Promise.race([ended, patience]);
      await Promise.all([...clients].map((client) => client.end?.()));
    },
  };
}

/**
 * A connection that the server ends would otherwise end the process: idle ones report to the pool, one that is between
 * two statements of a transaction to itself. Its next statement fails, and the request with it.
 */
function survive(pool: Pool): void {
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));
}
