import type { ClientBase } from 'pg';
import type { Endpoint } from './endpoint';
import { fail } from '../../support/failure';
import type { DatabaseRef } from '../../../contract/place';

/** Our mark, as COMMENT ON DATABASE: it travels with the database and no dump restores it by itself. */
export interface DatabaseMark {
  by: 'durable-runbooks';
  /** restored: a copy that may take over; drill: one that never may; previous: was live before a swap. */
  kind: 'restored' | 'drill' | 'previous';
  service: string;
  environment: string;
  backupId: string | null;
  createdAt: string;
  /** Name of the sessions of the attempt that made it. */
  holder?: string;
  /** The comment that the database has, or gets back, when it is the live one. */
  comment: string | null;
}

export interface FoundIdentity {
  systemIdentifier: string;
  database: string;
  standby: boolean;
  mark: DatabaseMark | null;
}

/** The mark in a database's comment; null where it is somebody else's text. */
export function parseMark(comment: string | null): DatabaseMark | null {
  if (comment === null || !comment.startsWith('{')) return null;
  try {
    const mark = JSON.parse(comment) as Partial<DatabaseMark>;
    return mark.by === 'durable-runbooks' ? (mark as DatabaseMark) : null;
  } catch {
    return null;
  }
}

/** Who the server behind this session says it is. */
export async function readFoundIdentity(client: ClientBase): Promise<FoundIdentity> {
  const { rows } = await client.query<{
    id: string;
    database: string;
    standby: boolean;
    comment: string | null;
  }>(
    `SELECT (SELECT system_identifier::text FROM pg_control_system()) AS id, current_database() AS database,
            pg_is_in_recovery() AS standby,
            (SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()) AS comment`,
  );
  const row = rows[0];
  if (row === undefined) throw fail('WrongDatabase', 'The server does not tell its identity.');
  return {
    systemIdentifier: row.id,
    database: row.database,
    standby: row.standby,
    mark: parseMark(row.comment),
  };
}

/**
 * Compares the session with the registered identity: system identifier and name, a primary, and no mark of ours on
 * what claims to be the live database. Run it in the session that then changes something.
 * Throws WrongDatabase, or TargetNotOurs for a copy beside the live database that lacks our mark.
 */
export async function checkIdentity(
  client: ClientBase,
  endpoint: Endpoint,
  ref: DatabaseRef,
): Promise<FoundIdentity> {
  const found = await readFoundIdentity(client);
  const { identity, label } = endpoint;
  const wrong = (why: string): Error =>
    fail(
      'WrongDatabase',
      `${label} is not the registered database: ${why}. Nothing was changed. Correct its URL, or its identity if it moved (\`runbooks check\` prints it).`,
    );
  if (found.systemIdentifier !== identity.systemIdentifier) {
    throw wrong(`system identifier ${found.systemIdentifier} instead of ${identity.systemIdentifier}`);
  }
  if (found.database !== identity.database)
    throw wrong(`database "${found.database}" instead of "${identity.database}"`);
  if (found.standby) throw wrong('the server is a standby');
  const claimsToBeLive = ref.kind === 'service' && ref.database === undefined;
  if (claimsToBeLive && found.mark !== null) throw wrong(`it carries the mark of a ${found.mark.kind} copy`);
  if (ref.kind === 'service' && !claimsToBeLive && found.mark === null) {
    throw fail('TargetNotOurs', `${label} carries no mark of ours. Nothing was changed.`);
  }
  return found;
}
