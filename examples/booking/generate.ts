import { readFileSync } from 'node:fs';
import type { Client, ClientBase } from 'pg';
import { createDatabase } from '../shared/database';
import { dataSteps } from './data';
import { sampleFile } from './files';
import { bookingUrls, createBookingRoles, type BookingCredentials, type BookingUrls } from './roles';

export interface GenerateOptions {
  bookings: number;
  /** Same seed, size and `now`: same rows. */
  seed?: number;
  /** How far back the bookings reach, in days. */
  historyDays?: number;
  now?: Date;
  /** Called before each table and, with `create...`, each half of the schema. */
  onProgress?: (doing: string) => void;
}

/** How big: so many bookings with all that hangs on them, or so many megabytes of database. */
export type BookingSize = { bookings: number } | { megabytes: number };

export interface CreateOptions extends Omit<GenerateOptions, 'bookings'> {
  /** URL of a superuser; the database in it does not matter. */
  adminUrl: string;
  name: string;
  size: BookingSize;
  /** From createBookingRoles. Without them the roles get new passwords, which ends the URLs of other databases. */
  credentials?: BookingCredentials;
}

export interface BookingDatabase {
  name: string;
  urls: BookingUrls;
  /** False where a complete database of that name was there already and was kept. */
  created: boolean;
}

// Measured on PostgreSQL 15 with 10,000 to 400,000 bookings: nothing but the catalogue, then per booking.
const EMPTY_BYTES = 9_900_000;
const BYTES_PER_BOOKING = 2_300;

/** The number of bookings whose database has about this size, indexes included. */
export function bookingsFor(size: BookingSize): number {
  if ('bookings' in size) return size.bookings;
  return Math.max(100, Math.round((size.megabytes * 1_000_000 - EMPTY_BYTES) / BYTES_PER_BOOKING));
}

/**
 * Fills the empty tables of schema.sql with bookings that keep every invariant of runbooks.yaml, in one transaction.
 * Throws where there are bookings already. Fastest before the indexes exist; `createBookingDatabase` does that.
 */
export async function generateBooking(client: ClientBase, options: GenerateOptions): Promise<void> {
  const { bookings, seed = 1, historyDays = 540, now = new Date(), onProgress } = options;
  if (!Number.isInteger(bookings) || bookings < 1)
    throw new RangeError(`bookings must be a positive integer, got ${bookings}`);
  await client.query('BEGIN');
  try {
    const { rows } = await client.query<{ filled: boolean }>(
      'SELECT EXISTS (SELECT FROM bookings) AS filled',
    );
    if (rows[0]?.filled === true)
      throw new Error('The table bookings has rows already; the generator fills empty tables only.');
    // Days are those of UTC, whatever the session's zone: the rows must not depend on it.
    await client.query(
      `SET LOCAL timezone = 'UTC'; SET LOCAL work_mem = '256MB'; SET LOCAL synchronous_commit = off`,
    );
    for (const step of dataSteps({ bookings, seed, historyDays, now })) {
      onProgress?.(step.table);
      await client.query(step.sql);
      // Later steps join these; without statistics they are joined row by row.
      if (!step.sql.startsWith('SELECT')) await client.query(`ANALYZE ${step.table}`);
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Creates roles, database, schema and data, the database whole or not at all; one that is there already is kept. */
export async function createBookingDatabase(options: CreateOptions): Promise<BookingDatabase> {
  const { adminUrl, name } = options;
  const credentials = options.credentials ?? (await createBookingRoles(adminUrl));
  const created = await createDatabase({
    adminUrl,
    name,
    owner: 'booking_owner',
    comment: 'Booking service (sample data)',
    connect: ['booking_app', 'runbooks_backup'],
    connectionLimit: 80,
    fill: (admin) => fill(admin, options),
  });
  return { name, urls: bookingUrls(adminUrl, name, credentials), created };
}

async function fill(admin: Client, { size, ...options }: CreateOptions): Promise<void> {
  const [tables, afterData] = readFileSync(sampleFile('schema.sql'), 'utf8').split(
    '-- ==== after the data ====',
  );
  if (tables === undefined || afterData === undefined)
    throw new Error('schema.sql has lost its "after the data" mark.');
  await admin.query(`SET ROLE booking_owner; SET maintenance_work_mem = '512MB'`);
  await admin.query(tables);
  await generateBooking(admin, { ...options, bookings: bookingsFor(size) });
  options.onProgress?.('indexes and foreign keys');
  await admin.query(afterData);
  await admin.query('RESET ROLE');
  options.onProgress?.('vacuum');
  await admin.query('VACUUM (ANALYZE)');
}
