import type { Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { tellToEnd, type OpenSession } from '../session/own-sessions';
import { inMaintenance } from './maintenance';
import type { Place } from '../../../contract/place';

/** What was still there when the ending of sessions stopped. */
export interface Stayed {
  /** `pid (application of role)` of those that were signalled last. */
  sessions: string[];
  /** The same with the reason, of those that our role may not end. */
  refused: string[];
}

const EVERY_MS = 100;

/**
 * Ends the sessions of these databases, again and again from a session of its own, until `stop`: for while another
 * session waits for the databases to be empty. Autovacuum is left alone: the server ends it itself.
 */
export function endSessions(
  deps: ActivityDeps,
  place: Place,
  databases: string[],
): { stop(): Promise<Stayed> } {
  let stopped = false;
  let stayed: Stayed = { sessions: [], refused: [] };
  const loop = inMaintenance(
    deps,
    place,
    async (client) => {
      while (!stopped) {
        stayed = await endOnce(client, databases);
        await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      }
    },
    { action: `end the sessions of ${databases.join(' and ')}` },
  ).catch((error: Error) => {
    stayed = { ...stayed, refused: [error.message] };
  });
  return {
    stop: async () => {
      stopped = true;
      await loop;
      return stayed;
    },
  };
}

/** Signals each session once, of those that began before `before` where it is given, and says which there were. */
export async function endOnce(client: Client, databases: string[], before = 'infinity'): Promise<Stayed> {
  const stayed: Stayed = { sessions: [], refused: [] };
  const { rows } = await client.query<OpenSession & { who: string }>(
    `SELECT pid, backend_start::text AS "startedAt", pid || ' (' || coalesce(nullif(application_name, ''), backend_type) || ' of ' || coalesce(usename, 'the server') || ')' AS who
       FROM pg_stat_activity
      WHERE datname = ANY($1) AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'
        AND backend_start < $2::timestamptz
      ORDER BY pid`,
    [databases, before],
  );
  for (const { who, ...session } of rows) {
    try {
      // One by one: a single one that we may not end must not keep the others.
      await tellToEnd(client, session);
      stayed.sessions.push(who);
    } catch (error) {
      stayed.refused.push(`${who}: ${(error as Error).message}`);
    }
  }
  return stayed;
}
