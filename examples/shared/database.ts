/** Roles and databases of an example, made by a superuser. */
import { Client } from 'pg';
import { newSecret } from './secrets';

/** The same server and options as `adminUrl`, another database and user. */
export function urlFor(adminUrl: string, database: string, user?: string, password?: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  if (user !== undefined) url.username = user;
  if (password !== undefined) url.password = password;
  return url.href;
}

/**
 * Runs the SQL that creates roles where they are missing, and gives each named one a new password, which it returns.
 * Roles belong to the whole cluster: URLs made from earlier passwords stop working.
 */
export async function createRoles<Role extends string>(
  adminUrl: string,
  sql: string,
  logins: readonly Role[],
): Promise<Record<Role, string>> {
  const passwords = Object.fromEntries(logins.map((role) => [role, newSecret()])) as Record<Role, string>;
  await withClient(adminUrl, async (admin) => {
    await admin.query(sql);
    for (const role of logins) {
      const [name, password] = [admin.escapeIdentifier(role), admin.escapeLiteral(passwords[role])];
      await admin.query(`ALTER ROLE ${name} PASSWORD ${password}`);
    }
  });
  return passwords;
}

export interface NewDatabase {
  /** URL of a superuser; the database in it does not matter. */
  adminUrl: string;
  name: string;
  owner: string;
  comment: string;
  /** Roles that may connect, beside the owner and its members. */
  connect: readonly string[];
  connectionLimit: number;
  /** As the superuser, in the new database: `SET ROLE` to its owner first. */
  fill: (admin: Client) => Promise<void>;
}

/**
 * Creates and fills a database. It is built under another name and renamed at the end, so a database with the final name
 * is complete; one that is there already is kept. Says whether it was created.
 */
export async function createDatabase(wanted: NewDatabase): Promise<boolean> {
  const { adminUrl, name, owner } = wanted;
  const building = `${name}_building`;
  const postgres = urlFor(adminUrl, 'postgres');
  const exists = await withClient(postgres, async (admin) => {
    const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 1) return true;
    const [made, by] = [admin.escapeIdentifier(building), admin.escapeIdentifier(owner)];
    await admin.query(`DROP DATABASE IF EXISTS ${made} WITH (FORCE)`);
    await admin.query(`CREATE DATABASE ${made} OWNER ${by} TEMPLATE template0`);
    return false;
  });
  if (exists) return false;
  await withClient(urlFor(adminUrl, building), wanted.fill);
  await withClient(postgres, (admin) => finish(admin, building, wanted));
  return true;
}

/** Settings, rights and comment that a dump of the database does not carry. */
async function finish(admin: Client, building: string, wanted: NewDatabase): Promise<void> {
  const from = admin.escapeIdentifier(building);
  const connect = wanted.connect.map((role) => admin.escapeIdentifier(role)).join(', ');
  await admin.query(`REVOKE CONNECT ON DATABASE ${from} FROM PUBLIC`);
  await admin.query(`GRANT CONNECT ON DATABASE ${from} TO ${connect}`);
  await admin.query(`ALTER DATABASE ${from} SET timezone = 'UTC'`);
  await admin.query(`ALTER DATABASE ${from} SET idle_in_transaction_session_timeout = '5min'`);
  await admin.query(`ALTER DATABASE ${from} CONNECTION LIMIT ${wanted.connectionLimit}`);
  await admin.query(`COMMENT ON DATABASE ${from} IS ${admin.escapeLiteral(wanted.comment)}`);
  await admin.query(`ALTER DATABASE ${from} RENAME TO ${admin.escapeIdentifier(wanted.name)}`);
}

/** One connection for as long as `body` takes. */
export async function withClient<T>(url: string, body: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}
