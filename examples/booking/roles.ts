import { readFileSync } from 'node:fs';
import { createRoles, urlFor } from '../shared/database';
import { sampleFile } from './files';

const LOGINS = ['booking_app', 'runbooks_migrator', 'runbooks_backup'] as const;

/** Passwords of the sample's roles. Generated, kept in memory, handed to whoever needs the URLs. */
export type BookingCredentials = Record<(typeof LOGINS)[number], string>;

/** Connection strings of one database of the sample, by who uses it. Secrets: keep them out of logs. */
export interface BookingUrls {
  /** For the application: least privilege. */
  app: string;
  /** For the runbooks: owner of the tables by membership, may create databases, no superuser. */
  migrator: string;
  /** For a backup worker of its own: reads everything, changes nothing. */
  backup: string;
}

/** Creates the roles of roles.sql where they are missing and gives each that logs in a new password. */
export function createBookingRoles(adminUrl: string): Promise<BookingCredentials> {
  return createRoles(adminUrl, readFileSync(sampleFile('roles.sql'), 'utf8'), LOGINS);
}

export function bookingUrls(
  adminUrl: string,
  database: string,
  credentials: BookingCredentials,
): BookingUrls {
  const url = (role: keyof BookingCredentials): string => urlFor(adminUrl, database, role, credentials[role]);
  return { app: url('booking_app'), migrator: url('runbooks_migrator'), backup: url('runbooks_backup') };
}
