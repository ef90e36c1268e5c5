import { spawn } from 'node:child_process';
import { fetch } from 'undici';
import { startBookingApp, type BookingApp } from '../../examples/booking/app';
import { sampleProgram } from '../../examples/booking/files';
import { createBookingDatabase, type BookingDatabase } from '../../examples/booking/generate';
import { openIdleTransactions } from '../../examples/booking/trouble';
import { connected, eventually, query, startTestCluster, type TestCluster } from './support';

const TOKEN = 'token-of-the-operators';
let cluster: TestCluster;
let database: BookingDatabase;
let app: BookingApp;
beforeAll(async () => {
  cluster = await startTestCluster();
  database = await createBookingDatabase({ adminUrl: cluster.url, name: 'booking', size: { bookings: 400 } });
});
beforeEach(async () => {
  app = await startBookingApp({ databaseUrl: database.urls.app, poolMax: 2, operationsToken: TOKEN });
});
afterEach(() => app.stop());
afterAll(() => cluster?.remove());

interface Pool {
  limit: number | null;
  poolMax: number;
  poolUsed: number;
  poolWaiting: number;
}
const limit = async () => (await (await fetch(`${app.url}/api/database/connection-limit`)).json()) as Pool;
/** Samples of GET /metrics by name and labels. */
async function metrics(): Promise<Record<string, number>> {
  const text = await (await fetch(`${app.url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.lastIndexOf(' ')),
      Number(line.slice(line.lastIndexOf(' ') + 1)),
    ]),
  );
}
const operate = (method: string, path: string, token?: string, body: object = {}) =>
  fetch(`${app.url}/operations/${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  });

/** Customers who wait for a table that somebody holds; with `again` they come back until it is over. */
async function whileSearchesHang(
  count: number,
  body: () => Promise<void>,
  { again = false } = {},
): Promise<number[]> {
  return connected(`${cluster.url.replace(/\/postgres$/, '/booking')}`, async (client) => {
    await client.query('BEGIN');
    await client.query('LOCK TABLE slots IN ACCESS EXCLUSIVE MODE');
    let over = false;
    const searches = Array.from({ length: count }, async () => {
      let status: number;
      do status = (await fetch(`${app.url}/slots`)).status;
      while (again && !over);
      return status;
    });
    await eventually(limit, ({ poolUsed }) => poolUsed === Math.min(count, 2));
    await body();
    over = true;
    await client.query('ROLLBACK');
    return Promise.all(searches);
  });
}

test('Prometheus sees answers, the pool, and the connections of the role', async () => {
  await fetch(`${app.url}/slots`);
  await fetch(`${app.url}/bookings/not-a-uuid/confirm`, { method: 'POST' });
  await fetch(`${app.url}/health/ready`);
  expect(await metrics()).toMatchObject({
    'booking_http_requests_total{status="200"}': 1,
    'booking_http_requests_total{status="400"}': 1,
    booking_pool_max: 2,
    'booking_pool_connections{state="busy"}': 0,
    'booking_pool_connections{state="waiting"}': 0,
    booking_database_up: 1,
    booking_database_connections_max: 40,
    'booking_database_connections{state="idle in transaction"}': 0,
  });
});

test('it tells how full the pool is while the pool is full', async () => {
  const body = async () => {
    const full = await eventually(limit, ({ poolUsed, poolWaiting }) => poolUsed === 2 && poolWaiting === 1);
    expect(full).toMatchObject({ limit: 100, poolMax: 2 });
    const seen = {
      'booking_pool_connections{state="busy"}': 2,
      'booking_pool_connections{state="waiting"}': 1,
      // Two that search and the one that asks.
      'booking_database_connections{state="active"}': 3,
    };
    await eventually(metrics, (now) => Object.entries(seen).every(([name, value]) => now[name] === value));
    const slow = async () => (await fetch(`${app.url}/api/performance/queries/slow`)).json();
    const { queries } = (await eventually(
      slow,
      (answer) => (answer as { queries: unknown[] }).queries.length > 0,
    )) as { queries: { seconds: number; query: string }[] };
    expect(queries[0]!.seconds).toBeGreaterThanOrEqual(1);
    expect(queries[0]!.query).toContain('slot_availability');
  };
  await whileSearchesHang(3, body, { again: true });
});

test('a larger pool serves at once those who come then', async () => {
  await whileSearchesHang(2, async () => {
    expect((await operate('PUT', 'pool', TOKEN, { max: 4 })).status).toBe(200);
    const more = fetch(`${app.url}/slots`);
    await eventually(limit, ({ poolMax, poolUsed }) => poolMax === 4 && poolUsed === 3);
    void more.catch(() => undefined);
  });
});

test('a restart closes connections that are stuck, and serves with new ones', async () => {
  const own = `SELECT pid FROM pg_stat_activity WHERE application_name = 'booking-app' ORDER BY pid`;
  const answers = await whileSearchesHang(2, async () => {
    const pids = async () => (await query<{ pid: number }>(cluster.url, own)).map(({ pid }) => pid);
    const before = await eventually(pids, ({ length }) => length === 2);
    expect((await operate('POST', 'restart', TOKEN)).status).toBe(200);
    expect(await limit()).toMatchObject({ poolMax: 2, poolUsed: 0 });
    await eventually(pids, (now) => !now.some((pid) => before.includes(pid)));
  });
  expect(answers).toEqual([500, 500]);
  expect((await fetch(`${app.url}/slots`)).status).toBe(200);
});

test.each([
  ['without a token', undefined],
  ['with another token', 'token-of-somebody-else'],
  ['with an empty one', ''],
])('operations are refused %s', async (_, token) => {
  expect((await operate('PUT', 'pool', token, { max: 99 })).status).toBe(401);
  expect((await operate('POST', 'restart', token)).status).toBe(401);
  expect((await limit()).poolMax).toBe(2);
});

test.each([0, 201, 'many', 1.5])('a pool of %s is refused', async (max) => {
  expect((await operate('PUT', 'pool', TOKEN, { max })).status).toBe(400);
  expect((await limit()).poolMax).toBe(2);
});

test('without a token of its own the application has no operations', async () => {
  await app.stop();
  app = await startBookingApp({ databaseUrl: database.urls.app });
  expect((await operate('POST', 'restart', TOKEN)).status).toBe(404);
});

/** As the runbook runs it. */
async function program(name: string, args: string[], environment: Record<string, string>) {
  const child = spawn(process.execPath, [sampleProgram(name), ...args], {
    env: { PATH: process.env['PATH'], ...environment },
  });
  let said = '';
  child.stdout.on('data', (text: Buffer) => (said += text.toString()));
  child.stderr.on('data', (text: Buffer) => (said += text.toString()));
  const status = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  return { status, said: said.trim() };
}

test('the program for operators sets the pool, restarts, and says what it could not do', async () => {
  const environment = { BOOKING_APP_URL: app.url, BOOKING_OPERATIONS_TOKEN: TOKEN };
  expect(await program('operate.js', ['set-pool-max'], { ...environment, POOL_MAX: '7' })).toEqual({
    status: 0,
    said: 'the pool has at most 7 connections',
  });
  expect((await limit()).poolMax).toBe(7);
  expect(await program('operate.js', ['restart'], environment)).toMatchObject({ status: 0 });
  expect((await limit()).poolMax).toBe(7);
  const refused = await program('operate.js', ['restart'], { ...environment, BOOKING_OPERATIONS_TOKEN: 'x' });
  expect(refused).toEqual({ status: 1, said: expect.stringContaining('the application answered 401') });
});

test('without its database it still answers Prometheus, and claims nothing about connections', async () => {
  await app.stop();
  app = await startBookingApp({ databaseUrl: 'postgresql://booking_app:x@127.0.0.1:1/booking' });
  const samples = await metrics();
  expect(samples['booking_pool_max']).toBe(8);
  expect(samples['booking_database_up']).toBe(0);
  expect(Object.keys(samples).filter((name) => name.startsWith('booking_database_conn'))).toEqual([]);
  expect(await limit()).toMatchObject({ limit: null, poolMax: 8, poolUsed: 0 });
});

test('trouble: forgotten transactions hold connections of the role until they are ended', async () => {
  await fetch(`${app.url}/slots`);
  const trouble = await openIdleTransactions({ databaseUrl: database.urls.app, count: 60, forMs: 60_000 });
  try {
    // The role may have 40 and the application has one or two of them.
    expect(trouble.pids.length).toBeGreaterThan(30);
    expect(trouble.pids.length).toBeLessThan(40);
    expect((await metrics())['booking_database_connections{state="idle in transaction"}']).toBe(
      trouble.pids.length,
    );
    await query(
      cluster.url,
      `SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[${trouble.pids.join(', ')}]) AS pid`,
    );
    await trouble.ended;
  } finally {
    await trouble.stop();
  }
});

test('trouble as a program ends by itself', async () => {
  const { status, said } = await program(
    'trouble.js',
    ['idle-transactions', '--count', '2', '--seconds', '1'],
    {
      DATABASE_URL: database.urls.app,
    },
  );
  expect(status).toBe(0);
  expect(said).toMatch(/^2 transactions are open and idle.*\nall of them are gone$/);
});

test.each([
  [[], /which trouble\?\n {2}idle-transactions/],
  [['idle-transactions', '--count', '0'], /--count must be a whole number/],
])('trouble with %j says what it expects', async (args, message) => {
  const { status, said } = await program('trouble.js', args, { DATABASE_URL: database.urls.app });
  expect([status, said]).toEqual([1, expect.stringMatching(message)]);
});
