import type { Client } from 'pg';
import { applicationName, currentActivity, lastingName } from '../../support/heartbeat';
import type { OpenSession } from './own-sessions';

/** Their statement goes on in the server when this attempt is lost. */
const lasting = new WeakSet<Client>();

/**
 * Runs a statement that is worth hours and harms nobody when it goes on in the server after this attempt was lost, with its
 * worker or without: the next attempt finds it, see `earlierLastingSessions`, and waits for it. A cancellation ends it.
 */
export async function whileLasting<T>(client: Client, body: () => Promise<T>): Promise<T> {
  await client.query(`SELECT set_config('application_name', $1, false)`, [lastingName()]);
  // Not every platform of a server can notice that its client is gone.
  await client.query('SET client_connection_check_interval = 0').catch(() => undefined);
  lasting.add(client);
  try {
    return await body();
  } finally {
    lasting.delete(client);
    await client
      .query(`SELECT set_config('application_name', $1, false)`, [applicationName()])
      .catch(() => undefined);
    await client.query(`SET client_connection_check_interval = '2s'`).catch(() => undefined);
  }
}

/** Whether this attempt was given up, or its worker stops, and nobody asked for an end of what the session does. */
export function outlastsLoss(client: Client, signal: AbortSignal): boolean {
  return lasting.has(client) && !isAskedFor(signal);
}

/** Somebody wants what the activity does to end, and not only this attempt of it. */
export function isAskedFor({ aborted, reason }: AbortSignal): boolean {
  return aborted && (reason as Error | undefined)?.message === 'CANCELLED';
}

/** What earlier attempts of this activity began with `whileLasting` and what goes on. Asked as the role that began it. */
export async function earlierLastingSessions(client: Client): Promise<OpenSession[]> {
  const names = Array.from({ length: currentActivity().attempt - 1 }, (_, index) => lastingName(index + 1));
  if (names.length === 0) return [];
  const { rows } = await client.query<OpenSession>(
    `SELECT pid, backend_start::text AS "startedAt" FROM pg_stat_activity
      WHERE application_name = ANY($1) AND usename = current_user AND state = 'active'`,
    [names],
  );
  return rows;
}
