import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { sampleFile } from './files';

/** Passwords of the sample's roles. Generated, kept in memory, handed to whoever needs the URLs. */
export interface BookingCredentials {
  booking_app: string;
  runbooks_migrator: string;
  runbooks_backup: string;
}

/** Connection strings of one database of the sample, by who uses it. Secrets: keep them out of logs. */
export interface BookingUrls {
  /** For the application: least privilege. */
  app: string;
  /** For the runbooks: owner of the tables by membership, may create databases, no superuser. */
  migrator: string;
  /** For a backup worker of its own: reads everything, changes nothing. */
  backup: string;
}

/**
 * Creates the roles of roles.sql where they are missing and gives each that logs in a new password.
 * Roles belong to the whole cluster: URLs made from earlier credentials stop working.
 */
export async function createBookingRoles(adminUrl: string): Promise<BookingCredentials> {
  const credentials: BookingCredentials = {
    booking_app: newPassword(),
    runbooks_migrator: newPassword(),
    runbooks_backup: newPassword(),
  };
  const client = new Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(readFileSync(sampleFile('roles.sql'), 'utf8'));
    for (const [role, password] of Object.entries<string>({ ...credentials })) {
      await client.query(
        `ALTER ROLE ${client.escapeIdentifier(role)} PASSWORD ${client.escapeLiteral(password)}`,
      );
    }
  } finally {
    await client.end();
  }
  return credentials;
}

/** The same server and options as `adminUrl`, another database and user. */
export function urlFor(adminUrl: string, database: string, user?: string, password?: string): string {
  const url = new URL(adminUrl);
  url.pathname = `/${encodeURIComponent(database)}`;
  if (user !== undefined) url.username = user;
  if (password !== undefined) url.password = password;
  return url.href;
}

export function bookingUrls(
  adminUrl: string,
  database: string,
  credentials: BookingCredentials,
): BookingUrls {
  const url = (role: keyof BookingCredentials): string => urlFor(adminUrl, database, role, credentials[role]);
  return { app: url('booking_app'), migrator: url('runbooks_migrator'), backup: url('runbooks_backup') };
}

function newPassword(): string {
  return randomBytes(24).toString('base64url');
}
