import { readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setUpBooking, type BookingSetUp } from '../../examples/booking/setup';
import { databaseOf, serviceOf } from '../../src/config/load';
import { loadProject } from '../../src/check/load-project';
import { query, startTestCluster, type TestCluster } from './support';

let cluster: TestCluster;
let directory: string;
let site: BookingSetUp;

beforeAll(async () => {
  cluster = await startTestCluster();
  directory = await mkdtemp(join(tmpdir(), 'booking-site-'));
  site = await setUpBooking({
    adminUrl: cluster.url,
    directory,
    bookings: 4_000,
    appUrl: 'http://127.0.0.1:1234',
    inboxUrl: 'http://127.0.0.1:1235',
  });
});
afterAll(async () => {
  await cluster?.remove();
  await rm(directory, { recursive: true, force: true });
});

test('the configuration it writes is complete: it loads, and each identity is that of the database behind the URL', async () => {
  const config = loadProject(site.configFile);
  for (const environment of ['production', 'staging'] as const) {
    const { identity, url } = databaseOf(config, 'booking', environment);
    const variable = /^\$\{env:(\w+)\}$/.exec(url)![1]!;
    const [actual] = await query(
      site.environment[variable]!,
      'SELECT system_identifier::text AS "systemIdentifier", current_database() AS database, current_user AS role FROM pg_control_system()',
    );
    expect(actual).toEqual({ ...identity, role: 'runbooks_migrator' });
  }
});

test('every variable that it names is in the environment it returns, and no secret is in the file', () => {
  const text = readFileSync(site.configFile, 'utf8');
  const named = [...text.matchAll(/\$\{env:(\w+)\}/g)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'NAME');
  expect([...new Set(named)].sort()).toEqual(Object.keys(site.environment).sort());
  const secrets = [...Object.values(site.urls.production), ...Object.values(site.urls.staging)].map(
    (url) => new URL(url).password,
  );
  for (const secret of secrets) expect(text).not.toContain(secret);
  expect(new Set(secrets).size).toBe(3);
});

test('the comments of the template come with it', () => {
  expect(readFileSync(site.configFile, 'utf8')).toContain(
    '# Each returns the rows that break it; none is well.',
  );
});

test('relative paths of the configuration lie in the folder, backups closed to others', async () => {
  const { migrations, backups } = serviceOf(loadProject(site.configFile), 'booking');
  expect(
    (await stat(join(directory, migrations.directory, '2026_11_01_add_booking_notes.sql'))).isFile(),
  ).toBe(true);
  expect((await stat(join(directory, backups!.directory))).mode & 0o077).toBe(0);
});

test('the tables that a restore must contain exist', async () => {
  const { restore } = serviceOf(loadProject(site.configFile), 'booking');
  const missing = await query(
    site.urls.production.migrator,
    'SELECT t FROM unnest($1::text[]) t WHERE to_regclass(t) IS NULL',
    [restore.requiredTables],
  );
  expect(missing).toEqual([]);
});

test('staging is a tenth of production, and the same but for its data', async () => {
  const count = 'SELECT count(*)::int FROM bookings';
  expect(await query(site.urls.production.app, count)).toEqual([{ count: 4_000 }]);
  expect(await query(site.urls.staging.app, count)).toEqual([{ count: 400 }]);
});

test('settings that a dump does not carry are there to be carried', async () => {
  const [settings] = await query(
    cluster.url,
    `SELECT datconnlimit, shobj_description(oid, 'pg_database') AS comment, has_database_privilege('public', oid, 'CONNECT') AS open
     FROM pg_database WHERE datname = 'booking_production'`,
  );
  expect(settings).toEqual({ datconnlimit: 80, comment: 'Booking service (sample data)', open: false });
  expect(await query(site.urls.production.app, 'SHOW timezone')).toEqual([{ TimeZone: 'UTC' }]);
});

test("a second set-up keeps data and the operator's own migrations, and its URLs work", async () => {
  await query(site.urls.production.migrator, `UPDATE listings SET title = 'mine' WHERE id = 1`);
  writeFileSync(join(directory, 'migrations/mine.sql'), 'SELECT 1;');
  const again = await setUpBooking({ adminUrl: cluster.url, directory, bookings: 4_000 });
  expect(await query(again.urls.production.app, 'SELECT title FROM listings WHERE id = 1')).toEqual([
    { title: 'mine' },
  ]);
  expect(readFileSync(join(directory, 'migrations/mine.sql'), 'utf8')).toBe('SELECT 1;');
  await expect(query(site.urls.production.app, 'SELECT 1')).rejects.toThrow('password authentication failed');
});
