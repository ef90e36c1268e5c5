import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { parse } from 'yaml';
import {
  bookingsFor,
  createBookingDatabase,
  generateBooking,
  type CreateOptions,
} from '../../examples/booking/generate';
import { sampleFile } from '../../examples/booking/files';
import { createBookingRoles, type BookingCredentials } from '../../examples/booking/roles';
import { urlFor } from '../../examples/shared/database';
import { ownConfigSchema } from '../../src/packs/own';
import { connected, query, startTestCluster, type TestCluster } from './support';

const NOW = new Date('2026-11-20T12:00:00Z');
const TABLES = 'providers listings resources slots customers bookings action_tokens idempotency_keys payments webhook_endpoints webhook_deliveries calendar_accounts calendar_writebacks audit_logs job_runs'; // prettier-ignore
const { invariants } = ownConfigSchema.parse(parse(readFileSync(sampleFile('runbooks.yaml'), 'utf8')))
  .services['booking']!;

let cluster: TestCluster;
let credentials: BookingCredentials;

beforeAll(async () => {
  cluster = await startTestCluster();
  credentials = await createBookingRoles(cluster.url);
});
afterAll(() => cluster?.remove());

const create = (name: string, more: Partial<CreateOptions> = {}) =>
  createBookingDatabase({
    adminUrl: cluster.url,
    name,
    size: { bookings: 2_000 },
    now: NOW,
    credentials,
    ...more,
  });

async function contentOf(url: string): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const table of TABLES.split(' ')) {
    const [row] = await query(
      url,
      `SELECT count(*) || '/' || md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM ${table} t`,
    );
    content[table] = row!['sum'];
  }
  return content;
}

test('every table is filled, and every invariant of the configuration holds', async () => {
  const { urls } = await create('filled');
  for (const [table, sum] of Object.entries(await contentOf(urls.migrator)))
    expect([table, sum]).not.toEqual([table, null]);
  expect(invariants.length).toBeGreaterThanOrEqual(8);
  for (const { name, sql } of invariants) expect([name, await query(urls.migrator, sql)]).toEqual([name, []]);
});

test('bookings are in every state, and there are slots left to sell', async () => {
  const { urls } = await create('states');
  const states = await query(
    urls.migrator,
    'SELECT status, count(*)::int FROM bookings GROUP BY 1 ORDER BY 1',
  );
  expect(states.map(({ status }) => status)).toEqual([
    'cancelled',
    'confirmed',
    'expired',
    'held',
    'no_show',
  ]);
  expect(states.find(({ status }) => status === 'confirmed')!['count']).toBeGreaterThan(1_000);
  const [free] = await query(
    urls.migrator,
    `SELECT count(*)::int FROM slots WHERE status = 'open' AND starts_at > $1`,
    [NOW],
  );
  expect(free!['count']).toBeGreaterThan(100);
});

test.each([
  [
    'no slot is sold twice',
    `DROP INDEX idx_bookings_one_confirmed_per_slot; UPDATE bookings SET slot_id = (SELECT slot_id FROM bookings WHERE status = 'confirmed' LIMIT 1) WHERE status = 'confirmed'`,
  ],
  [
    'a confirmed booking has a slot',
    `DELETE FROM slots WHERE id = (SELECT slot_id FROM bookings WHERE status = 'confirmed' LIMIT 1)`,
  ],
  [
    'a reserved slot belongs to a live booking',
    `UPDATE bookings SET status = 'cancelled' WHERE id = (SELECT id FROM bookings WHERE status = 'confirmed' LIMIT 1)`,
  ],
  [
    `a succeeded payment names the provider's reference`,
    `UPDATE payments SET provider_ref = NULL WHERE status = 'succeeded'`,
  ],
  [`a payment is over its booking's price`, `UPDATE payments SET amount_cents = amount_cents + 1`],
  ['no link works for a booking that has ended', `UPDATE action_tokens SET used_at = NULL`],
  [
    'a delivery ends after eight attempts',
    `UPDATE webhook_deliveries SET status = 'pending' WHERE status = 'failed'`,
  ],
  ['only approved providers are published', `UPDATE providers SET status = 'SUSPENDED'`],
])('the invariant "%s" notices what breaks it', async (name, damage) => {
  const { urls } = await create('damaged');
  const { sql } = invariants.find((invariant) => invariant.name === name)!;
  await connected(urls.migrator, async (client) => {
    await client.query('BEGIN');
    await client.query(damage);
    expect((await client.query(sql)).rowCount).toBeGreaterThan(0);
    await client.query('ROLLBACK');
  });
});

test('the same seed, size and time give the same rows; another seed gives others', async () => {
  const one = await contentOf((await create('one', { seed: 7 })).urls.migrator);
  expect(await contentOf((await create('two', { seed: 7 })).urls.migrator)).toEqual(one);
  expect((await contentOf((await create('three', { seed: 8 })).urls.migrator))['bookings']).not.toBe(
    one['bookings'],
  );
});

test.each([[20], [60]])('a database of %i megabytes has about that size', async (megabytes) => {
  const { urls } = await create(`mb${megabytes}`, { size: { megabytes } });
  const [size] = await query(urls.migrator, 'SELECT pg_database_size(current_database())::bigint AS bytes');
  expect(Number(size!['bytes']) / 1e6 / megabytes).toBeGreaterThan(0.9);
  expect(Number(size!['bytes']) / 1e6 / megabytes).toBeLessThan(1.1);
});

test('a gigabyte asks for hundreds of thousands of bookings, almost nothing for a few', () => {
  expect(bookingsFor({ megabytes: 1_000 })).toBeGreaterThan(300_000);
  expect(bookingsFor({ megabytes: 1 })).toBe(100);
});

test('even a single booking makes a complete database', async () => {
  const { urls } = await create('single', { size: { bookings: 1 } });
  expect(await query(urls.migrator, 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 1 }]);
});

test('tables that have rows already are left alone', async () => {
  const { urls } = await create('twice');
  const before = await contentOf(urls.migrator);
  await expect(
    connected(urls.migrator, (client) => generateBooking(client, { bookings: 10 })),
  ).rejects.toThrow('has rows already');
  expect(await contentOf(urls.migrator)).toEqual(before);
});

test('a size that is no positive number is refused before anything is written', async () => {
  await expect(generateBooking(new Client(), { bookings: Number.NaN })).rejects.toThrow(
    'positive integer, got NaN',
  );
});

test('a complete database is kept, one that was left half built is built anew', async () => {
  const { urls, created } = await create('kept');
  const before = await contentOf(urls.migrator);
  await query(cluster.url, 'CREATE DATABASE fresh_building');
  expect(created).toBe(true);
  expect((await create('kept', { seed: 99 })).created).toBe(false);
  expect(await contentOf(urls.migrator)).toEqual(before);
  expect((await create('fresh')).created).toBe(true);
  expect(await query(cluster.url, `SELECT FROM pg_database WHERE datname LIKE '%building'`)).toEqual([]);
});

test('the roles can do what they need and no more', async () => {
  const { urls } = await create('roles');
  const roles = await query(
    cluster.url,
    `SELECT rolname FROM pg_roles WHERE rolname ~ '^(booking|runbooks)_' AND (rolsuper OR rolcreaterole OR rolreplication)`,
  );
  expect(roles).toEqual([]);
  await expect(query(urls.app, 'SELECT * FROM resources')).rejects.toThrow(
    'permission denied for table resources',
  );
  await expect(query(urls.app, 'ALTER TABLE bookings ADD COLUMN x int')).rejects.toThrow('must be owner');
  await expect(query(urls.app, 'DELETE FROM bookings')).rejects.toThrow('permission denied');
  await expect(query(urls.backup, 'DELETE FROM bookings')).rejects.toThrow('permission denied');
  const audit = `SELECT count(*)::int FROM audit_logs`;
  const [seen] = await query(urls.app, audit);
  const [all] = await query(urls.backup, audit);
  expect(seen!['count']).toBeGreaterThan(0);
  expect(seen!['count']).toBeLessThan(all!['count']);
  await expect(query(urlFor(urls.app, 'roles', 'booking_app', 'wrong'), 'SELECT 1')).rejects.toThrow(
    'password authentication failed',
  );
});

test('a booking that has ended stays ended', async () => {
  const { urls } = await create('ended');
  const revive = `UPDATE bookings SET status = 'held', expires_at = now() WHERE status = 'cancelled'`;
  await expect(query(urls.app, revive)).rejects.toThrow('cannot go from cancelled to held');
});

test('holds that have run out are expired, their slots freed, their links void', async () => {
  const { urls } = await create('holds');
  const [before] = await query(urls.app, `SELECT count(*)::int FROM bookings WHERE status = 'held'`);
  expect(before!['count']).toBeGreaterThan(0);
  await query(
    urls.migrator,
    `UPDATE bookings SET expires_at = now() - interval '1 second' WHERE status = 'held'`,
  );
  expect(await query(urls.app, 'SELECT expire_held_bookings() AS ended')).toEqual([
    { ended: before!['count'] },
  ]);
  expect(await query(urls.app, 'SELECT expire_held_bookings() AS ended')).toEqual([{ ended: 0 }]);
  for (const { name, sql } of invariants) expect([name, await query(urls.migrator, sql)]).toEqual([name, []]);
});
