import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';

export interface Server {
  temporal: LocalTemporal;
  client: Client;
  /** Stops the server, waits, starts it again with the same file. */
  away(ms: number): Promise<void>;
  stop(): Promise<void>;
}

/** A real development server with a database file. */
export async function startServer(): Promise<Server> {
  const directory = mkdtempSync(join(tmpdir(), 'schedules-'));
  const temporal = await startTemporal({ directory });
  const connection = await Connection.connect({ address: temporal.address });
  const server: Server = {
    temporal,
    client: new Client({ connection }),
    away: async (ms) => {
      const { port, uiPort } = server.temporal;
      await server.temporal.stop();
      await new Promise((resolve) => setTimeout(resolve, ms));
      server.temporal = await startTemporal({ directory, port, uiPort });
    },
    stop: async () => {
      await connection.close();
      await server.temporal.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return server;
}

/** Asks until it holds; fails with the last answer after a minute. A server that was too busy to answer is asked again. */
export async function until<T>(
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
  timeoutMs = 180_000,
): Promise<T> {
  for (const end = Date.now() + timeoutMs; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
    const answer = await ask().catch((error: Error) => error);
    if (!(answer instanceof Error) && holds(answer)) return answer;
    if (Date.now() <= end) continue;
    throw answer instanceof Error
      ? answer
      : new Error(`it never held; last: ${JSON.stringify(answer, null, 1)}`);
  }
}
