import { randomUUID } from 'node:crypto';
import { fetch } from 'undici';
import { startBookingApp, type BookingApp, type BookingAppOptions } from '../../examples/booking/app';
import { createBookingDatabase, type BookingDatabase } from '../../examples/booking/generate';
import { urlFor } from '../../examples/shared/database';
import { connected, eventually, query, startTestCluster, type TestCluster } from './support';

let cluster: TestCluster;
let database: BookingDatabase;
const running: BookingApp[] = [];

beforeAll(async () => {
  cluster = await startTestCluster();
  database = await createBookingDatabase({
    adminUrl: cluster.url,
    name: 'booking',
    size: { bookings: 1_000 },
  });
});
afterEach(() => Promise.all(running.splice(0).map((app) => app.stop())));
afterAll(() => cluster?.remove());

async function start(more: Partial<BookingAppOptions> = {}): Promise<BookingApp> {
  const app = await startBookingApp({ databaseUrl: database.urls.app, ...more });
  running.push(app);
  return app;
}

interface Answer {
  status: number;
  body: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- answers of many shapes, asserted one by one
}

async function get(app: BookingApp, path: string): Promise<Answer> {
  const answer = await fetch(`${app.url}${path}`);
  return { status: answer.status, body: await answer.json() };
}

async function post(
  app: BookingApp,
  path: string,
  body: object = {},
  key: string = randomUUID(),
): Promise<Answer> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  const answer = await fetch(`${app.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}

async function freeSlot(app: BookingApp): Promise<string> {
  const { body } = await get(app, '/slots?limit=1');
  return body.slots[0].slotId;
}

const bookingOf = (id: string) =>
  query(
    database.urls.migrator,
    'SELECT bookings.status, slots.status AS slot FROM bookings JOIN slots ON slots.id = slot_id WHERE bookings.id = $1',
    [id],
  );

test('it is alive, ready and tells its state', async () => {
  const app = await start();
  for (const path of ['/health', '/health/lb', '/health/ready'])
    expect(await get(app, path)).toMatchObject({ status: 200 });
  const detailed = await get(app, '/api/health/detailed');
  expect(detailed.body.checks).toMatchObject({ database: { ok: true }, availability: { ok: true } });
  expect(Date.parse(detailed.body.checks.cron_expire_bookings_last_run_ts)).not.toBeNaN();
  const limit = await get(app, '/api/database/connection-limit');
  expect(limit.body).toMatchObject({ limit: 100, poolMax: 8 });
  expect(limit.body.used).toBeGreaterThan(0);
});

test('a slot is held, confirmed, paid and cancelled', async () => {
  const app = await start();
  const slotId = await freeSlot(app);
  const held = await post(app, '/bookings', { slotId, customerId: '1' });
  expect(held).toMatchObject({ status: 201, body: { status: 'held' } });
  expect(await bookingOf(held.body.id)).toEqual([{ status: 'held', slot: 'reserved' }]);
  expect(
    (await get(app, '/slots?limit=100')).body.slots.map((slot: { slotId: string }) => slot.slotId),
  ).not.toContain(slotId);
  expect(await post(app, `/bookings/${held.body.id}/confirm`)).toMatchObject({
    status: 200,
    body: { status: 'confirmed' },
  });
  expect(
    await query(database.urls.migrator, 'SELECT status FROM payments WHERE booking_id = $1', [held.body.id]),
  ).toEqual([{ status: 'succeeded' }]);
  expect(await post(app, `/bookings/${held.body.id}/cancel`)).toMatchObject({ status: 200 });
  expect(await bookingOf(held.body.id)).toEqual([{ status: 'cancelled', slot: 'open' }]);
  expect(
    await query(database.urls.migrator, 'SELECT status FROM payments WHERE booking_id = $1', [held.body.id]),
  ).toEqual([{ status: 'refunded' }]);
});

test('of many who want one slot at the same moment exactly one gets it', async () => {
  const app = await start();
  const slotId = await freeSlot(app);
  const waiting = `SELECT count(*)::int FROM pg_stat_activity WHERE application_name = 'booking-app' AND wait_event_type = 'Lock'`;
  const answers = await connected(database.urls.migrator, async (client) => {
    // All of them have seen the slot free before the first one can take it.
    await client.query('BEGIN');
    await client.query('SELECT FROM slots WHERE id = $1 FOR UPDATE', [slotId]);
    const asked = Array.from({ length: 6 }, () => post(app, '/bookings', { slotId, customerId: '2' }));
    await eventually(
      () => query(cluster.url, waiting),
      ([row]) => row!['count'] === 6,
    );
    await client.query('COMMIT');
    return Promise.all(asked);
  });
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409, 409]);
});

test('the same idempotency key gets the same booking, another request under it is refused', async () => {
  const app = await start();
  const [slotId, key] = [await freeSlot(app), randomUUID()];
  const first = await post(app, '/bookings', { slotId, customerId: '3' }, key);
  expect(first.status).toBe(201);
  expect(await post(app, '/bookings', { slotId, customerId: '3' }, key)).toEqual(first);
  expect((await post(app, '/bookings', { slotId, customerId: '4' }, key)).status).toBe(409);
});

test.each([
  ['a slot that is no number', { slotId: 'x', customerId: '1' }],
  ['a customer who does not exist', { slotId: undefined, customerId: '999999' }],
])('bad input is refused as such and is no fault: %s', async (_what, body) => {
  const app = await start();
  const slotId = body.slotId ?? (await freeSlot(app));
  expect((await post(app, '/bookings', { ...body, slotId })).status).toBe(400);
  expect((await post(app, '/bookings/not-a-uuid/confirm')).status).toBe(400);
  expect((await get(app, '/api/metrics/error-rate')).body).toMatchObject({ errorRate: 0, errors: 0 });
});

test('faults are counted and hidden from customers; health checks thin them out in no way', async () => {
  const app = await start();
  await query(database.urls.migrator, 'ALTER VIEW slot_availability SET (security_invoker = true)');
  try {
    expect(await get(app, '/slots')).toEqual({ status: 500, body: { error: 'internal error' } });
    const ready = await get(app, '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.body.checks.availability.error).toContain('permission denied for table resources');
    expect((await get(app, '/health')).status).toBe(200);
    expect((await get(app, '/api/metrics/error-rate')).body).toMatchObject({ errorRate: 1, requests: 1 });
  } finally {
    await query(database.urls.migrator, 'ALTER VIEW slot_availability RESET (security_invoker)');
  }
  expect((await get(app, '/health/ready')).status).toBe(200);
});

test('the error rate forgets what is older than its window', async () => {
  const app = await start({ windowSeconds: 1 });
  const requests = async () => (await get(app, '/api/metrics/error-rate')).body.requests as number;
  let counted: number;
  do {
    await post(app, '/bookings/not-a-uuid/confirm');
    counted = await requests();
    // None: it was forgotten before we could ask.
  } while (counted === 0);
  expect(counted).toBe(1);
  await eventually(
    () => get(app, '/api/metrics/error-rate'),
    ({ body }) => body.requests === 0,
  );
});

test('traffic of its own searches and books, without fault and without using the slots up', async () => {
  const free = () => query(database.urls.migrator, 'SELECT count(*)::int FROM slot_availability');
  const before = await free();
  const app = await start({ traffic: true, windowSeconds: 60 });
  const { body } = await eventually(
    () => get(app, '/api/metrics/error-rate'),
    (answer) => answer.body.requests >= 25,
  );
  expect(body.errors).toBe(0);
  await app.stop();
  running.splice(0);
  expect(await free()).toEqual(before);
});

test('it survives a restart of the server and recovers by itself', async () => {
  const app = await start({ traffic: true });
  await get(app, '/health/ready');
  await cluster.stop();
  expect(
    (
      await eventually(
        () => get(app, '/health/ready'),
        ({ status }) => status === 503,
      )
    ).body.checks.database.ok,
  ).toBe(false);
  expect((await get(app, '/health')).status).toBe(200);
  await eventually(
    () => get(app, '/api/metrics/error-rate'),
    ({ body }) => body.errors > 0,
  );
  await cluster.restart();
  await eventually(
    () => get(app, '/health/ready'),
    ({ status }) => status === 200,
  );
});

test('it goes on with another database that was swapped into the place of its own', async () => {
  const app = await start({ traffic: true });
  const { urls } = await createBookingDatabase({
    adminUrl: cluster.url,
    name: 'restored',
    size: { bookings: 300 },
    credentials: credentialsOf(database),
  });
  await query(urls.migrator, `UPDATE listings SET title = 'restored'`);
  await connected(urlFor(cluster.url, 'postgres'), async (admin) => {
    await admin.query('ALTER DATABASE booking ALLOW_CONNECTIONS false');
    await admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'booking'`);
    await admin.query('ALTER DATABASE booking RENAME TO booking_before');
    await admin.query('ALTER DATABASE restored RENAME TO booking');
  });
  const { body } = await eventually(
    () => get(app, '/slots?limit=1'),
    ({ status }) => status === 200,
  );
  expect(body.slots[0].title).toBe('restored');
});

function credentialsOf({ urls }: BookingDatabase) {
  const password = (url: string): string => new URL(url).password;
  return {
    booking_app: password(urls.app),
    runbooks_migrator: password(urls.migrator),
    runbooks_backup: password(urls.backup),
  };
}
