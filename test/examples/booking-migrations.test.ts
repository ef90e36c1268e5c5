import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse as parseSql } from 'libpg-query';
import { fetch } from 'undici';
import { parse as parseYaml } from 'yaml';
import { startBookingApp } from '../../examples/booking/app';
import { sampleFile } from '../../examples/booking/files';
import { createBookingDatabase, type BookingDatabase } from '../../examples/booking/generate';
import { createBookingRoles, type BookingCredentials } from '../../examples/booking/roles';
import { runSmoke } from '../../examples/booking/smoke';
import { ownConfigSchema } from '../../src/packs/own';
import { connected, query, startTestCluster, type TestCluster } from './support';

const run = promisify(execFile);
const FOLDER = sampleFile('migrations');
const FILES = readdirSync(FOLDER);
const NOTES = '2026_11_01_add_booking_notes';
const INDEX = '2026_11_02_index_deliveries_concurrently';
const CAPACITY = '2026_11_03_merge_slot_capacity';
const UNSAFE = '2026_11_04_unsafe_type_change';
const SETTLE = '2026_11_05_settle_stale_payments';
const { invariants, migrations } = ownConfigSchema.parse(
  parseYaml(readFileSync(sampleFile('runbooks.yaml'), 'utf8')),
).services['booking']!;

let cluster: TestCluster;
let credentials: BookingCredentials;
let count = 0;

beforeAll(async () => {
  cluster = await startTestCluster();
  credentials = await createBookingRoles(cluster.url);
});
afterAll(() => cluster?.remove());

const create = (historyDays?: number): Promise<BookingDatabase> =>
  createBookingDatabase({
    adminUrl: cluster.url,
    name: `booking_${(count += 1)}`,
    size: { bookings: 2_000 },
    historyDays,
    credentials,
  });

/** As a person would by hand, with the rights of the runbooks. */
async function psql(database: BookingDatabase, file: string): Promise<void> {
  const args = [
    '--no-psqlrc',
    '--quiet',
    '-v',
    'ON_ERROR_STOP=1',
    '-d',
    database.urls.migrator,
    '-f',
    join(FOLDER, file),
  ];
  await run(join(cluster.binDirectory, 'psql'), args);
}

/** What the schema says of itself, as pg_dump writes it. */
async function schemaOf(database: BookingDatabase): Promise<string> {
  const { stdout } = await run(join(cluster.binDirectory, 'pg_dump'), [
    '--schema-only',
    '-d',
    database.urls.migrator,
  ]);
  return stdout.replace(/^\\(un)?restrict .*$/gm, '');
}

async function brokenInvariants(database: BookingDatabase): Promise<string[]> {
  const broken: string[] = [];
  for (const { name, sql } of invariants)
    if ((await query(database.urls.migrator, sql)).length > 0) broken.push(name);
  return broken;
}

async function lint(file: string): Promise<string[]> {
  const program = join(__dirname, '../../node_modules/squawk-cli/js/bin/squawk');
  const args = ['--reporter', 'json', '--pg-version', '15', '--exclude', migrations.lintIgnore.join(',')];
  const inTransaction = file.startsWith(INDEX) ? [] : ['--assume-in-transaction'];
  // It exits 1 where it found something.
  const { stdout } = await run(process.execPath, [
    program,
    ...args,
    ...inTransaction,
    join(FOLDER, file),
  ]).catch((found: { stdout: string }) => found);
  return (JSON.parse(stdout) as { rule_name: string }[]).map(({ rule_name: rule }) => rule);
}

test('the files come as the documentation names them, and every one parses', async () => {
  expect(FILES.sort()).toEqual(
    [NOTES, INDEX, CAPACITY]
      .flatMap((name) => [`${name}.down.sql`, `${name}.sql`])
      .concat(`${UNSAFE}.sql`, `${SETTLE}.sql`),
  );
  for (const file of FILES) {
    const { stmts } = await parseSql(readFileSync(join(FOLDER, file), 'utf8'));
    expect(stmts!.length).toBeGreaterThan(0);
  }
});

test.each([[NOTES], [INDEX], [CAPACITY], [SETTLE]])('linting has nothing against %s', async (name) => {
  expect(await lint(`${name}.sql`)).toEqual([]);
});

test('linting stops the unsafe one twice, and with reason: it cannot even run', async () => {
  expect(await lint(`${UNSAFE}.sql`)).toEqual(['changing-column-type', 'adding-required-field']);
  await expect(psql(await create(), `${UNSAFE}.sql`)).rejects.toThrow('contains null values');
});

test.each([[NOTES], [INDEX], [CAPACITY]])(
  '%s applies, keeps the invariants and the smoke program, and its down script is its exact inverse',
  async (name) => {
    const database = await create();
    const before = await schemaOf(database);
    await psql(database, `${name}.sql`);
    expect(await schemaOf(database)).not.toBe(before);
    expect(await brokenInvariants(database)).toEqual([]);
    expect(await runSmoke(database.urls.migrator)).toContain('confirm');
    await psql(database, `${name}.down.sql`);
    expect(await schemaOf(database)).toBe(before);
  },
);

test('new notes are checked although the old rows never were', async () => {
  const database = await create();
  await psql(database, `${NOTES}.sql`);
  const note = (length: number) =>
    query(database.urls.app, `UPDATE bookings SET notes = repeat('x', $1)`, [length]);
  await note(2_000);
  await expect(note(2_001)).rejects.toThrow('bookings_notes_length');
});

test('the index is built outside a transaction and is valid', async () => {
  const database = await create();
  const sql = readFileSync(join(FOLDER, `${INDEX}.sql`), 'utf8');
  await expect(
    connected(database.urls.migrator, (client) => client.query(`BEGIN;${sql};COMMIT`)),
  ).rejects.toThrow('transaction block');
  await psql(database, `${INDEX}.sql`);
  const [index] = await query(
    database.urls.migrator,
    `SELECT indisvalid FROM pg_index WHERE indexrelid = 'idx_webhook_deliveries_due'::regclass`,
  );
  expect(index).toEqual({ indisvalid: true });
});

test('the merged capacity breaks nothing but the running application, and its down script mends that at once', async () => {
  const database = await create();
  const app = await startBookingApp({ databaseUrl: database.urls.app });
  const statuses = async () =>
    Promise.all(
      ['/health', '/health/ready', '/slots'].map(async (path) => (await fetch(app.url + path)).status),
    );
  try {
    expect(await statuses()).toEqual([200, 200, 200]);
    await psql(database, `${CAPACITY}.sql`);
    expect(await statuses()).toEqual([200, 503, 500]);
    expect(await brokenInvariants(database)).toEqual([]);
    await psql(database, `${CAPACITY}.down.sql`);
    expect(await statuses()).toEqual([200, 200, 200]);
  } finally {
    await app.stop();
  }
});

test('its smoke program as the application would have told on staging already', async () => {
  const database = await create();
  await psql(database, `${CAPACITY}.sql`);
  await expect(runSmoke(database.urls.app)).rejects.toThrow('permission denied for table resources');
});

test('settling stale payments keeps the invariants on two months of data and breaks one on a year and a half', async () => {
  const [production, staging] = [await create(), await create(60)];
  for (const database of [production, staging]) await psql(database, `${SETTLE}.sql`);
  expect(await brokenInvariants(staging)).toEqual([]);
  expect(await brokenInvariants(production)).toEqual([`a succeeded payment names the provider's reference`]);
});
