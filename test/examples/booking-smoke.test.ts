import { execFile } from 'node:child_process';
import { mkdir, rm, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { transform } from '@swc/core';
import { createBookingDatabase, type BookingDatabase } from '../../examples/booking/generate';
import { sampleFile } from '../../examples/booking/files';
import { runSmoke } from '../../examples/booking/smoke';
import { connected, query, startTestCluster, type TestCluster } from './support';

let cluster: TestCluster;
let database: BookingDatabase;
let program: string;

beforeAll(async () => {
  cluster = await startTestCluster();
  database = await createBookingDatabase({ adminUrl: cluster.url, name: 'booking', size: { bookings: 500 } });
  program = join(cluster.directory, 'smoke.js');
  const source = await readFile(sampleFile('smoke.ts'), 'utf8');
  const { code } = await transform(source, {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  });
  await mkdir(cluster.directory, { recursive: true });
  await writeFile(program, code);
});
afterAll(async () => {
  await cluster?.remove();
  await rm(program, { force: true });
});

function runProgram(
  environment: Record<string, string>,
): Promise<{ code: number; stdout: string; stderr: string }> {
  // The program stands outside the repository here: tell it where the packages are.
  const env = { PATH: process.env['PATH'], NODE_PATH: join(__dirname, '../../node_modules'), ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [program], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

const contentOf = async (url: string): Promise<unknown> =>
  connected(url, async (client) => {
    const sequences = await client.query('SELECT sequencename, last_value FROM pg_sequences ORDER BY 1');
    const tables = await client.query(`SELECT relname FROM pg_stat_user_tables ORDER BY 1`);
    const sums = [];
    for (const { relname } of tables.rows) {
      const { rows } = await client.query(
        `SELECT count(*), md5(string_agg(t::text, ',' ORDER BY t::text)) AS sum FROM ${relname} t`,
      );
      sums.push([relname, rows[0].count, rows[0].sum]);
    }
    return { sequences: sequences.rows, sums };
  });

test.each(['migrator', 'app'] as const)(
  'it passes as the %s and leaves nothing behind, not even in a sequence',
  async (role) => {
    const before = await contentOf(database.urls.migrator);
    expect(await runSmoke(database.urls[role])).toEqual(expect.arrayContaining(['quote', 'hold', 'confirm']));
    expect(await contentOf(database.urls.migrator)).toEqual(before);
  },
);

test('as a program it exits 0 and says what it tried', async () => {
  const result = await runProgram({ DATABASE_URL: database.urls.migrator });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  expect(result.stdout).toContain('smoke passed: read customers, quote, hold');
});

test('it also passes where every slot of the data has passed, as in an old backup', async () => {
  await damaged(
    `UPDATE slots SET starts_at = starts_at - interval '9 years', ends_at = ends_at - interval '9 years'`,
    async (url) => {
      expect(await runSmoke(url)).toContain('quote');
    },
  );
});

test.each([
  ['quote', 'relation "slot_availability" does not exist', 'DROP VIEW slot_availability'],
  ['quote', 'a free slot of a published listing is not offered', `UPDATE listings SET status = 'suspended'`],
  ['read customers', 'there are no customers', 'TRUNCATE customers CASCADE'],
  [
    'hold',
    'column "party_size" of relation "bookings" does not exist',
    'ALTER TABLE bookings RENAME party_size TO people',
  ],
  [
    'same request twice',
    'the same idempotency key was accepted twice',
    'ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey',
  ],
  [
    'confirm',
    'permission denied',
    `CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''permission denied by a trigger''; END'; CREATE TRIGGER no BEFORE UPDATE ON bookings EXECUTE FUNCTION no()`,
  ],
  [
    'second booking of the slot',
    'idx_bookings_one_confirmed_per_slot is missing or invalid',
    'DROP INDEX idx_bookings_one_confirmed_per_slot',
  ],
  ['read deliveries and writebacks', 'there are no webhook deliveries', 'TRUNCATE webhook_deliveries'],
  ['read deliveries and writebacks', 'there are no calendar writebacks', 'TRUNCATE calendar_writebacks'],
  [
    'read deliveries and writebacks',
    'of another booking than its own',
    `UPDATE webhook_deliveries SET payload = '{}'`,
  ],
])('it fails at "%s": %s', async (step, why, damage) => {
  await damaged(damage, async (url) => {
    await expect(runSmoke(url)).rejects.toMatchObject({
      name: 'SmokeFailure',
      step,
      message: expect.stringContaining(why),
    });
  });
});

test('a failing program exits 1, names the step, and says no password', async () => {
  await damaged('DROP VIEW slot_availability', async (url) => {
    const result = await runProgram({ DATABASE_URL: url });
    expect(result).toMatchObject({ code: 1, stdout: '' });
    expect(result.stderr).toContain('smoke failed at "quote"');
    expect(result.stderr).not.toContain(new URL(url).password);
  });
});

test.each([
  ['start', 'DATABASE_URL is not set', ''],
  ['connect', 'ECONNREFUSED', 'postgresql://nobody:secret-word@127.0.0.1:1/booking'],
])('without a database it fails at "%s": %s', async (step, why, url) => {
  const { code, stderr } = await runProgram({ DATABASE_URL: url });
  expect(code).toBe(1);
  expect(stderr).toContain(`smoke failed at "${step}"`);
  expect(stderr).toContain(why);
  expect(stderr).not.toContain('secret-word');
});

/** A copy of the database with something broken in it. */
async function damaged(damage: string, body: (url: string) => Promise<void>): Promise<void> {
  await query(cluster.url, 'CREATE DATABASE damaged TEMPLATE booking OWNER booking_owner');
  const url = Object.assign(new URL(database.urls.migrator), { pathname: '/damaged' }).href;
  try {
    await query(url, damage);
    await body(url);
  } finally {
    await query(cluster.url, 'DROP DATABASE damaged WITH (FORCE)');
  }
}
