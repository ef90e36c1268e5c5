import type { Client } from 'pg';
import { fail } from '../../support/failure';

/**
 * Refuses a transaction-mode pooler: with one, advisory locks, session settings, the exported snapshot and the
 * backend that a cancellation names belong to whoever comes next. Throws PoolerRefused.
 *
 * Directly connected, the process ID that the server announced is the one that it answers with. Behind a pooler it is
 * not; whether a session of it stays on one backend shows when a second session is opened and both are asked.
 */
export async function refusePooler(
  client: Client,
  openSecond: () => Promise<Client>,
  target: string,
): Promise<void> {
  const announced = (client as unknown as { processID: number | null }).processID;
  const before = await backendOf(client);
  if (announced === before) return;
  const second = await openSecond();
  try {
    // One after the other and never at once: a pool of one backend would wait for itself.
    const other = await backendOf(second);
    const after = await backendOf(client);
    if (other === before || after !== before) {
      throw fail(
        'PoolerRefused',
        `${target} is reached through a transaction-mode pooler. Put the URL of a direct connection (or of a session-mode pool) into the configuration.`,
      );
    }
  } finally {
    await second.end().catch(() => undefined);
  }
}

async function backendOf(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  return rows[0]!.pid;
}
