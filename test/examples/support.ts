import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { startPostgres, type LocalPostgres } from '../../src/host/postgres';
import { askFor } from '../support/shared/ask';
import { copyCluster } from '../support/shared/cluster';

export interface TestCluster extends LocalPostgres {
  directory: string;
  remove: () => Promise<void>;
}

/** A cluster of its own for one test file; nothing in it has to outlive a crash. */
export async function startTestCluster(): Promise<TestCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'booking-'));
  copyCluster(await askFor('cluster'), directory);
  const cluster = await startPostgres({ directory, durable: false });
  const remove = async (): Promise<void> => {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  };
  return { ...cluster, directory, remove };
}

/** Runs a body with a connection of its own. */
export async function connected<T>(url: string, body: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

/** The rows of one statement. */
export function query<Row extends QueryResultRow = QueryResultRow>(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return connected(url, async (client) => (await client.query<Row>(sql, values)).rows);
}

/** Asks again until the answer is right; throws the last one that was not. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isRight: (answer: T) => boolean,
  withinMs = 120_000,
): Promise<T> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (isRight(answer)) return answer;
    if (Date.now() > deadline) throw new Error(`still ${JSON.stringify(answer)} after ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
