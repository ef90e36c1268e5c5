import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';

/** One row that the application wanted to have, as it knows it: kept outside of the database. */
export interface Write {
  id: string;
  sentMs: number;
  /** Of the answer, or of the loss of the connection. */
  endedMs: number;
  /** Unknown where the connection was lost before the answer: both is right then, but not twice. */
  answer: 'acknowledged' | 'refused' | 'unknown';
}

export interface Writer {
  /** Every write that has ended. */
  writes(): Write[];
  /** Resolves when another one was acknowledged: the database takes writes. */
  acknowledged(): Promise<void>;
  stop(): Promise<void>;
}

const EVERY_MS = 25;
const PATIENCE_MS = 10_000;

/** Writes one row after the other, each in a transaction of its own and never twice, to whichever database has the name. */
export function startWriter(connectionString: string): Writer {
  const done: Write[] = [];
  let client: Client | undefined;
  let stopped = false;
  const write = async (id: string): Promise<void> => {
    client ??= await connect(connectionString);
    const sentMs = Date.now();
    const answer = await client
      .query(
        `INSERT INTO audit_logs (entity_type, entity_id, action, source) VALUES ('booking', $1, 'chaos', 'system')`,
        [id],
      )
      .then(
        () => 'acknowledged' as const,
        (error: unknown) => (isRefusal(error) ? ('refused' as const) : ('unknown' as const)),
      );
    done.push({ id, sentMs, endedMs: Date.now(), answer });
    if (answer === 'acknowledged') return;
    // It may be the session that is read-only, or the one to the former database.
    const former = client;
    client = undefined;
    await former.end().catch(() => undefined);
  };
  const writing = (async () => {
    for (let number = 0; !stopped; number += 1) {
      // What could not even be sent is no write.
      await write(`w${number}`).catch(() => sleep(100));
      await sleep(EVERY_MS);
    }
    await client?.end().catch(() => undefined);
  })();
  return {
    writes: () => [...done],
    acknowledged: async () => {
      const sinceMs = Date.now();
      while (!done.some(({ sentMs, answer }) => sentMs > sinceMs && answer === 'acknowledged'))
        await sleep(EVERY_MS);
    },
    stop: async () => {
      stopped = true;
      await writing;
    },
  };
}

async function connect(connectionString: string): Promise<Client> {
  const client = new Client({
    connectionString,
    application_name: 'chaos-writer',
    connectionTimeoutMillis: PATIENCE_MS,
    query_timeout: PATIENCE_MS,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** The server has said no and goes on: what ends the session (57P..) may come after the commit. */
function isRefusal(error: unknown): boolean {
  return error instanceof DatabaseError && error.severity === 'ERROR';
}
