import type { Client } from 'pg';
import { decoded, scrub } from '../../../config/secrets';
import { connectOnce } from '../session/connection';
import { readFoundIdentity } from '../session/identity';
import { connectionCauseOf, textOf, wantsEncryption, type ConnectionCause } from './connection-cause';

export interface ConnectionLimitOf {
  /** `server`, `database NAME` or `role NAME`. */
  name: string;
  limit: number;
}

/** What came of one attempt to get a session that can be worked in. */
export interface TriedConnection {
  /** Null where it can be. */
  cause: ConnectionCause | null;
  /** What was said, or seen; no secret in it. */
  detail: string;
  /** `host:port/database` of the URL as `user`; empty where it is none. */
  address: string;
  /** How many connections whoever logs in so may have at most; empty where nobody could be asked. */
  limits: ConnectionLimitOf[];
}

interface Registered {
  systemIdentifier: string;
  database: string;
}

/** Connects as this URL says, and looks whether that is the registered database and takes writes. Reads only. */
export async function tryConnection(text: string, registered: Registered): Promise<TriedConnection> {
  const url = urlOf(text);
  if (url === undefined)
    return {
      cause: 'url',
      detail: 'it is no URL of the form postgresql://user:password@host:5432/database, percent-encoded',
      address: '',
      limits: [],
    };
  const address = addressOf(url);
  const named = { address, limits: [] };
  let client: Client;
  try {
    client = await connectOnce(url.href, { readOnly: false, statementTimeoutMs: 10_000 });
  } catch (error) {
    const cause = (await isForEncryption(url, error)) ? 'tls' : connectionCauseOf(error);
    return { ...named, cause, detail: scrub(textOf(error)).slice(0, 500) };
  }
  try {
    return { address, ...(await lookAround(client, registered)) };
  } catch (error) {
    return { ...named, cause: connectionCauseOf(error), detail: scrub(textOf(error)).slice(0, 500) };
  } finally {
    await client.end().catch(() => undefined);
  }
}

function urlOf(text: string): URL | undefined {
  try {
    const url = new URL(text);
    // A password with a slash ends the host, and all of it is on show where the database should be named.
    if (url.username === '' && !url.searchParams.has('user') && text.includes('@')) return undefined;
    return /^postgres(ql)?:$/.test(url.protocol) && url.hostname !== '' && url.pathname.length > 1
      ? url
      : undefined;
  } catch {
    return undefined;
  }
}

function addressOf(url: URL): string {
  const { hostname, port, pathname, username } = url;
  return `${hostname}:${port === '' ? '5432' : port}${decoded(pathname)} as ${decoded(username)}`;
}

/** The same without a look at the certificate: whether it is let in, or further, shows what was missing. */
async function isForEncryption(url: URL, error: unknown): Promise<boolean> {
  if (!wantsEncryption(error)) return false;
  const encrypted = new URL(url);
  encrypted.searchParams.set('sslmode', 'require');
  encrypted.searchParams.set('uselibpqcompat', 'true');
  try {
    await (await connectOnce(encrypted.href)).end();
    return true;
  } catch (second) {
    return !['not-admitted', 'tls'].includes(connectionCauseOf(second));
  }
}

async function lookAround(client: Client, registered: Registered): Promise<Omit<TriedConnection, 'address'>> {
  const limits = await readLimits(client);
  const found = await readFoundIdentity(client);
  if (found.systemIdentifier !== registered.systemIdentifier || found.database !== registered.database) {
    const detail = `it leads to database "${found.database}" of server ${found.systemIdentifier} instead of "${registered.database}" of ${registered.systemIdentifier}`;
    return { cause: 'other-database', detail, limits };
  }
  if (found.standby)
    return { cause: 'in-recovery', detail: 'the server is a standby, and takes no writes', limits };
  const { rows } = await client.query<{ on: boolean; source: string }>(
    `SELECT setting = 'on' AS on, source FROM pg_settings WHERE name = 'default_transaction_read_only'`,
  );
  const { on, source } = rows[0]!;
  if (on)
    return { cause: 'read-only', detail: `default_transaction_read_only is on (set by: ${source})`, limits };
  return { cause: null, detail: 'answers, and takes writes', limits };
}

/** With no more rights than whoever logs in so has. */
async function readLimits(client: Client): Promise<ConnectionLimitOf[]> {
  const { rows } = await client.query<ConnectionLimitOf>(
    `SELECT 'server' AS name, current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
              - coalesce(current_setting('reserved_connections', true)::int, 0) AS limit
     UNION ALL
     SELECT 'database ' || datname, datconnlimit FROM pg_database WHERE datname = current_database() AND datconnlimit >= 0
     UNION ALL
     SELECT 'role ' || rolname, rolconnlimit FROM pg_roles WHERE rolname = session_user AND rolconnlimit >= 0`,
  );
  return rows;
}
