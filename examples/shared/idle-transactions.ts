import { Client } from 'pg';

export interface IdleTransactions {
  /** Process IDs of the sessions on the server. */
  pids: number[];
  /** Resolves when every session is gone, whoever ended it. */
  ended: Promise<void>;
  stop: () => Promise<void>;
}

/**
 * Opens transactions that read once and are then forgotten, as by a report whose program hangs: each keeps a connection
 * and a snapshot. Opens fewer than `count` where the role may not have more. They end after `forMs`.
 */
export async function openIdleTransactions(options: {
  databaseUrl: string;
  count: number;
  forMs: number;
  applicationName: string;
  /** What each has read. */
  table: string;
}): Promise<IdleTransactions> {
  const { databaseUrl, count, forMs, applicationName, table } = options;
  const sessions: { pid: number; client: Client; gone: Promise<void> }[] = [];
  const stop = async (): Promise<void> => {
    clearTimeout(timer);
    await Promise.all(sessions.map(({ client }) => client.end().catch(() => undefined)));
  };
  const timer = setTimeout(() => void stop(), forMs);
  try {
    while (sessions.length < count) {
      const session = await forgetTransaction(databaseUrl, applicationName, table);
      if (session === undefined) break;
      sessions.push(session);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const ended = Promise.all(sessions.map(({ gone }) => gone)).then(() => clearTimeout(timer));
  return { pids: sessions.map(({ pid }) => pid), ended, stop };
}

/** Undefined: the role has all the connections that it may have. */
async function forgetTransaction(connectionString: string, applicationName: string, table: string) {
  const client = new Client({ connectionString, application_name: applicationName });
  // It is here to be ended by others.
  client.on('error', () => undefined);
  const gone = new Promise<void>((resolve) => client.once('end', resolve));
  try {
    await client.connect();
    await client.query('BEGIN');
    const { rows } = await client.query<{ pid: number }>(
      `SELECT pg_backend_pid() AS pid, count(*) FROM ${client.escapeIdentifier(table)}`,
    );
    return { pid: rows[0]!.pid, client, gone };
  } catch (error) {
    await client.end().catch(() => undefined);
    if ((error as { code?: string }).code === TOO_MANY_CONNECTIONS) return undefined;
    throw error;
  }
}

const TOO_MANY_CONNECTIONS = '53300';
