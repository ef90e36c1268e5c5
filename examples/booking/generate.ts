import { readFileSync } from 'node:fs';
import { Client, type ClientBase } from 'pg';
import { dataSteps } from './data';
import { sampleFile } from './files';
import { bookingUrls, createBookingRoles, urlFor, type BookingCredentials, type BookingUrls } from './roles';

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

/**
 * Creates roles, database, schema and data. It is built under another name and renamed at the end, so a database
 * with the final name is complete; one that is there already is kept.
 */
export async function createBookingDatabase(options: CreateOptions): Promise<BookingDatabase> {
  const { adminUrl, name, onProgress } = options;
  const credentials = options.credentials ?? (await createBookingRoles(adminUrl));
  const result = { name, urls: bookingUrls(adminUrl, name, credentials) };
  const building = `${name}_building`;
  const exists = await withAdmin(urlFor(adminUrl, 'postgres'), async (admin) => {
    const { rowCount } = await admin.query('SELECT FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 1) return true;
    await admin.query(`DROP DATABASE IF EXISTS ${admin.escapeIdentifier(building)} WITH (FORCE)`);
    await admin.query(
      `CREATE DATABASE ${admin.escapeIdentifier(building)} OWNER booking_owner TEMPLATE template0`,
    );
    return false;
  });
  if (exists) return { ...result, created: false };
  await withAdmin(urlFor(adminUrl, building), async (admin) => {
    const [tables, afterData] = readFileSync(sampleFile('schema.sql'), 'utf8').split(
      '-- ==== after the data ====',
    );
    if (tables === undefined || afterData === undefined)
      throw new Error('schema.sql has lost its "after the data" mark.');
    await admin.query(`SET ROLE booking_owner; SET maintenance_work_mem = '512MB'`);
    await admin.query(tables);
    await generateBooking(admin, { ...options, bookings: bookingsFor(options.size) });
    onProgress?.('indexes and foreign keys');
    await admin.query(afterData);
    await admin.query('RESET ROLE');
    onProgress?.('vacuum');
    await admin.query('VACUUM (ANALYZE)');
  });
  await withAdmin(urlFor(adminUrl, 'postgres'), (admin) => finish(admin, building, name));
  return { ...result, created: true };
}

/** Settings, rights and comment that a dump of the database does not carry. */
async function finish(admin: Client, building: string, name: string): Promise<void> {
  const from = admin.escapeIdentifier(building);
  await admin.query(`REVOKE CONNECT ON DATABASE ${from} FROM PUBLIC`);
  await admin.query(`GRANT CONNECT ON DATABASE ${from} TO booking_app, runbooks_backup`);
  await admin.query(`ALTER DATABASE ${from} SET timezone = 'UTC'`);
  await admin.query(`ALTER DATABASE ${from} SET idle_in_transaction_session_timeout = '5min'`);
  await admin.query(`ALTER DATABASE ${from} CONNECTION LIMIT 80`);
  await admin.query(`COMMENT ON DATABASE ${from} IS 'Booking service (sample data)'`);
  await admin.query(`ALTER DATABASE ${from} RENAME TO ${admin.escapeIdentifier(name)}`);
}

async function withAdmin<T>(url: string, body: (admin: Client) => Promise<T>): Promise<T> {
  const admin = new Client({ connectionString: url });
  await admin.connect();
  try {
    return await body(admin);
  } finally {
    await admin.end();
  }
}
