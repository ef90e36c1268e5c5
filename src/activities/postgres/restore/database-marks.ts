import { escapeIdentifier, escapeLiteral, type ClientBase } from 'pg';
import { parseMark, type DatabaseMark } from '../session/identity';

/** A database of a server as seen from its maintenance database. */
export interface DatabaseOnServer {
  name: string;
  comment: string | null;
  mark: DatabaseMark | null;
  allowsConnections: boolean;
}

export async function findDatabase(client: ClientBase, name: string): Promise<DatabaseOnServer | undefined> {
  const { rows } = await client.query<{ comment: string | null; allows: boolean }>(
    `SELECT shobj_description(oid, 'pg_database') AS comment, datallowconn AS allows FROM pg_database WHERE datname = $1`,
    [name],
  );
  const row = rows[0];
  return row && { name, comment: row.comment, mark: parseMark(row.comment), allowsConnections: row.allows };
}

/** COMMENT ON DATABASE with a mark, or with the comment that it had before us. */
export async function commentDatabase(
  client: ClientBase,
  name: string,
  comment: DatabaseMark | string | null,
): Promise<void> {
  const text = comment === null || typeof comment === 'string' ? comment : JSON.stringify(comment);
  await client.query(
    `COMMENT ON DATABASE ${escapeIdentifier(name)} IS ${text === null ? 'NULL' : escapeLiteral(text)}`,
  );
}

/** Where databases are created, dropped and renamed from: never the one concerned. */
export function maintenanceDatabase(live: string): string {
  return live === 'postgres' ? 'template1' : 'postgres';
}

/**
 * Holds the advisory lock of a target until the session ends. Such locks are per database, so all that create, drop or
 * rename databases take it in the maintenance database. Waits for lock_timeout at most.
 */
export async function lockTarget(client: ClientBase, target: string): Promise<void> {
  await client.query(`SELECT pg_advisory_lock(hashtextextended($1, 0))`, [`durable-runbooks:${target}`]);
}

/** `default_transaction_read_only` as set for that database; null where it is not. */
export async function readReadOnlySetting(client: ClientBase, name: string): Promise<string | null> {
  const { rows } = await client.query<{ setting: string }>(
    `SELECT substr(item, strpos(item, '=') + 1) AS setting
       FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) AS item
      WHERE d.datname = $1 AND s.setrole = 0 AND item LIKE 'default_transaction_read_only=%'`,
    [name],
  );
  return rows[0]?.setting ?? null;
}
