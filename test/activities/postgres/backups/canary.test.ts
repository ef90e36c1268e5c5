import { createCanaryActivities } from '../../../../src/activities/postgres/backups/canary';
import { failureOf, runActivity, startTestPostgres, type TestPostgres } from '../../../support/postgres';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres();
});
afterAll(() => pg.stop());

const fence = { target: 'shop/production', token: 5 };

test('the same ID is the same row, however often it is written', async () => {
  const db = await pg.fresh();
  const { writeCanary } = createCanaryActivities(db.deps);
  const first = await runActivity(writeCanary, { database: db.ref, id: 'b1', fence });
  const second = await runActivity(writeCanary, { database: db.ref, id: 'b1', fence }, { attempt: 2 });
  expect(second).toEqual(first);
  expect(await db.query('SELECT id FROM durable_runbooks.canary')).toEqual([{ id: 'b1' }]);
});

test('two at once on a new database both succeed', async () => {
  const db = await pg.fresh();
  const { writeCanary } = createCanaryActivities(db.deps);
  await Promise.all(['a', 'b', 'c', 'd'].map((id) => runActivity(writeCanary, { database: db.ref, id })));
  expect(await db.query('SELECT id FROM durable_runbooks.canary ORDER BY id')).toHaveLength(4);
});

test('a stale token writes nothing', async () => {
  const db = await pg.fresh();
  const { writeCanary } = createCanaryActivities(db.deps);
  await runActivity(writeCanary, { database: db.ref, id: 'b1', fence });
  const failure = await failureOf(
    runActivity(writeCanary, { database: db.ref, id: 'b2', fence: { ...fence, token: 4 } }),
  );
  expect(failure).toMatchObject({ type: 'StaleFencingToken', nonRetryable: true });
  expect(await db.query('SELECT id FROM durable_runbooks.canary')).toEqual([{ id: 'b1' }]);
});

test('the wrong database gets neither canary nor bookkeeping', async () => {
  const db = await pg.fresh({ identity: { database: 'another' } });
  const failure = await failureOf(
    runActivity(createCanaryActivities(db.deps).writeCanary, { database: db.ref, id: 'b1' }),
  );
  expect(failure.type).toBe('WrongDatabase');
  expect(await db.query(`SELECT to_regnamespace('durable_runbooks') AS found`)).toEqual([{ found: null }]);
});

test('a read-only database says so', async () => {
  const db = await pg.fresh();
  await db.query(`ALTER DATABASE ${db.name} SET default_transaction_read_only = on`);
  const failure = await failureOf(
    runActivity(createCanaryActivities(db.deps).writeCanary, { database: db.ref, id: 'b1' }),
  );
  expect(failure).toMatchObject({ type: 'ReadOnlyDatabase', nonRetryable: true });
});

test('only the newest two hundred stay', async () => {
  const db = await pg.fresh();
  const { writeCanary } = createCanaryActivities(db.deps);
  await runActivity(writeCanary, { database: db.ref, id: 'first' });
  await db.query(
    `INSERT INTO durable_runbooks.canary SELECT 'c' || i, now() + i * interval '1 s' FROM generate_series(1, 250) i`,
  );
  await runActivity(writeCanary, { database: db.ref, id: 'last' });
  const [{ count, last } = { count: 0, last: false }] = await db.query<{ count: number; last: boolean }>(
    `SELECT count(*)::int, bool_or(id = 'last') AS last FROM durable_runbooks.canary`,
  );
  expect(count).toBeLessThanOrEqual(201);
  expect(last).toBe(true);
});
