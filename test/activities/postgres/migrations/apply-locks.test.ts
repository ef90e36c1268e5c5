import { Client } from 'pg';
import {
  failureOf,
  startTestPostgres,
  until,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import { describeLocks, isAsPredicted, type MeasuredLock } from '../../../../src/contract/locks';
import { LockRecord } from '../../../../src/activities/postgres/migrations/lock-record';
import { parseScript } from '../../../../src/activities/postgres/migrations/parse';
import { locksOf } from '../../../../src/activities/postgres/migrations/table-locks';
import { apply, hasColumn, shopSchema, startApply, writeMigration } from './migration-fixtures';
import { everything, STATEMENTS } from './lock-statements';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

const clients: Client[] = [];
async function connect(database: TestDatabase, name: string): Promise<Client> {
  const client = new Client({ connectionString: server.urlOf(database.name), application_name: name });
  client.on('error', () => undefined);
  await client.connect();
  clients.push(client);
  return client;
}
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.end().catch(() => undefined)));
});

/** Somebody who has begun a transaction, read the table and gone for coffee. */
async function holdTable(database: TestDatabase, table = 'orders', name = 'forgetful'): Promise<Client> {
  const holder = await connect(database, name);
  await holder.query('BEGIN');
  await holder.query(`SELECT count(*) FROM ${table}`);
  return holder;
}

/** A load of short reads, none of which may wait for a lock for so long: the server counts, whatever else the machine does. */
async function startReaders(database: TestDatabase, patienceMs: number, count = 4) {
  const state = { reads: 0, over: false };
  const readers = Array.from({ length: count }, async (_, index) => {
    const client = await connect(database, `reader-${index}`);
    await client.query(`SET lock_timeout = ${patienceMs}`);
    while (!state.over) {
      await client.query('SELECT count(*) FROM orders WHERE id < 10');
      state.reads += 1;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  return {
    stop: async () => {
      state.over = true;
      await Promise.all(readers);
      return state;
    },
  };
}

describe('applying under load', () => {
  it('keeps readers waiting for no longer than one lock_timeout while a long transaction holds the table', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', 'ALTER TABLE orders ADD COLUMN note text;');
    const readers = await startReaders(shop, 1_500);
    const holder = await holdTable(shop);
    const run = startApply(shop, migration);
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    await holder.query('COMMIT');
    const result = await run.result;
    expect((await readers.stop()).reads).toBeGreaterThan(100);
    expect(await hasColumn(shop, 'orders', 'note')).toBe(true);
    expect(result.blockers.map(({ application }) => application)).toContain('forgetful');
    expect(result.totalBlockMs).toBeLessThan(1_500);
    expect(result.longestBlockMs).toBeLessThanOrEqual(result.totalBlockMs);
  });

  it('does not queue at all behind a transaction that is older than its patience', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', 'ALTER TABLE orders ADD COLUMN note text;');
    const holder = await holdTable(shop);
    await new Promise((resolve) => setTimeout(resolve, 700));
    const readers = await startReaders(shop, 300);
    const run = startApply(shop, migration);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    await readers.stop();
    await holder.query('COMMIT');
    expect(await run.result).toMatchObject({ lockAttempts: 1, alreadyDone: false });
  });

  it('gives up at the deadline, names who holds the table since when, and has changed nothing', async () => {
    const shop = await server.fresh({
      service: { migrations: { lockTimeoutMs: 100, lockDeadlineSeconds: 2 } },
    });
    const migration = writeMigration(
      shop,
      '001.sql',
      'ALTER TABLE customers ADD COLUMN first text;\nALTER TABLE orders ADD COLUMN note text;',
    );
    const holder = await holdTable(shop);
    const startedAt = Date.now();
    const failure = await failureOf(apply(shop, migration));
    expect(failure).toMatchObject({ type: 'LockTimeout', nonRetryable: true });
    expect(failure.message).toMatch(
      /could not be locked within 2 s.*pid \d+ \(forgetful, postgres; idle in transaction\) since .* UTC: SELECT count/s,
    );
    expect(Date.now() - startedAt).toBeLessThan(5_000);
    await holder.query('COMMIT');
    expect(await hasColumn(shop, 'orders', 'note')).toBe(false);
    expect(await hasColumn(shop, 'customers', 'first')).toBe(false);
  });

  it('lets everybody through between two tries, at least ten times as long as one may wait', async () => {
    const shop = await server.fresh({
      service: { migrations: { lockTimeoutMs: 100, lockDeadlineSeconds: 30 } },
    });
    // In a block, so that what it locks cannot be looked at before.
    const text = "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ADD COLUMN note text'; END $$;";
    const holder = await holdTable(shop);
    const observer = await connect(shop, 'observer');
    const run = startApply(shop, writeMigration(shop, '001.sql', text));
    // As the server saw them begin: how often somebody looks says nothing.
    const tries = new Set<number>();
    while (tries.size < 3) {
      const { rows } = await observer.query<{ since: number | null }>(
        `SELECT extract(epoch FROM waitstart)::float8 * 1000 AS since FROM pg_locks
          WHERE NOT granted AND mode = 'AccessExclusiveLock' AND relation = 'orders'::regclass`,
      );
      for (const { since } of rows) if (since !== null) tries.add(since);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await holder.query('COMMIT');
    const result = await run.result;
    const [first, ...others] = [...tries].sort((one, other) => one - other);
    let before = first!;
    for (const since of others) {
      // It waits for 100 ms, and then for a second.
      expect(since - before).toBeGreaterThanOrEqual(1_000);
      before = since;
    }
    expect(result.lockAttempts).toBeGreaterThanOrEqual(tries.size);
    expect(result.blockers.map(({ application }) => application)).toEqual(['forgetful']);
  });

  it('tries again when it becomes part of a deadlock', async () => {
    const shop = await server.fresh({ service: { migrations: { lockTimeoutMs: 400 } } });
    const migration = writeMigration(
      shop,
      '001.sql',
      'ALTER TABLE customers ADD COLUMN a int;\nSELECT pg_sleep(0.3);\nALTER TABLE orders ADD COLUMN a int;',
    );
    const other = await connect(shop, 'other');
    const run = startApply(shop, migration);
    await until(
      async () =>
        (await shop.query(`SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'`)).length > 0,
    );
    await other.query('BEGIN');
    await other.query('LOCK TABLE orders IN ACCESS SHARE MODE');
    await other.query('SELECT count(*) FROM customers').catch(() => undefined);
    await other.query('ROLLBACK');
    expect((await run.result).lockAttempts).toBeGreaterThan(1);
    expect(await hasColumn(shop, 'orders', 'a')).toBe(true);
  });
});

describe('autovacuum in the way', () => {
  const slowVacuum = `
    CREATE TABLE busy (id int, filler text) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
      autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
    INSERT INTO busy SELECT n, repeat('x', 500) FROM generate_series(1, 20000) AS n;
    CREATE INDEX ON busy (id);
    DELETE FROM busy WHERE id % 2 = 0;`;
  let cluster: TestPostgres;
  beforeAll(async () => {
    cluster = await startTestPostgres({ settings: { autovacuum_naptime: '1s' } });
    const query = await cluster.fresh();
    await query.query(`CREATE ROLE plain LOGIN PASSWORD 'plain-password'; CREATE ROLE tuner LOGIN PASSWORD 'tuner-password';
      GRANT pg_monitor TO plain, tuner; GRANT SET ON PARAMETER deadlock_timeout TO tuner`);
  });
  afterAll(() => cluster?.stop());

  it.each(['plain', 'tuner'])('is evicted at the first try by role %s', async (user) => {
    const role = { user, password: `${user}-password` };
    const shop = await cluster.fresh({ role, sql: slowVacuum });
    await shop.query(`ALTER TABLE busy OWNER TO ${user}; GRANT CREATE ON DATABASE ${shop.name} TO ${user}`);
    await until(
      async () =>
        (await shop.query(`SELECT 1 FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass`)).length > 0,
      60_000,
    );
    const result = await apply(
      shop,
      writeMigration(shop, '001.sql', 'ALTER TABLE busy ADD COLUMN note text;'),
    );
    expect(result).toMatchObject({ lockAttempts: 1, alreadyDone: false });
    expect(result.longestBlockMs).toBeLessThan(user === 'tuner' ? 700 : 1_800);
    expect(result.longestBlockMs).toBeGreaterThan(user === 'tuner' ? 50 : 800);
  });
});

describe('what a statement locks', () => {
  let client: Client;
  let other: Client;
  beforeAll(async () => {
    const shop = await server.fresh({ sql: everything });
    [client, other] = [
      new Client({ connectionString: shop.url }),
      new Client({ connectionString: shop.url }),
    ];
    await Promise.all([client.connect(), other.connect()]);
  });
  afterAll(() => Promise.all([client?.end(), other?.end()]));

  async function measure(sql: string): Promise<MeasuredLock[]> {
    const { statements } = await parseScript('001.sql', Buffer.from(sql));
    const record = new LockRecord(client, other);
    await client.query('BEGIN');
    try {
      for (const { node, text, line } of statements) {
        const predicted = await record.predict(locksOf(node));
        await client.query(text);
        await record.look({ line, since: Date.now() }, predicted);
      }
      return record.measured();
    } finally {
      await client.query('ROLLBACK');
    }
  }

  it.each(STATEMENTS)('is what was predicted: %s', async (sql) => {
    expect(describeLocks((await measure(sql)).filter((lock) => !isAsPredicted(lock)))).toBe('');
  });
});

describe('the words for locks', () => {
  const lock = (table: string, more: Partial<MeasuredLock> = {}): MeasuredLock => ({
    ...{ line: 1, table, mode: 'ShareRowExclusiveLock', heldMs: 12, predicted: 'writes', ...more },
  });

  it('say mode, table, time, and first what was not predicted', () => {
    const unpredicted = lock('b', { mode: 'AccessExclusiveLock', predicted: 'nothing' });
    expect(describeLocks([lock('a'), unpredicted, lock('c', { mode: null, heldMs: 0 })])).toBe(
      'ACCESS EXCLUSIVE on b for 12 ms (not predicted), SHARE ROW EXCLUSIVE on a for 12 ms (as predicted), ' +
        'no lock of c, although one that stops writes was predicted',
    );
    expect(describeLocks([lock('a', { predicted: 'reads' })])).toContain(
      '(predicted was one that stops reads)',
    );
  });

  it('are few, and none for a result of an older worker', () => {
    expect(describeLocks(Array.from({ length: 20 }, (_, index) => lock(`t${index}`)))).toMatch(
      /, and 15 more locks$/,
    );
    expect(describeLocks(undefined)).toBe('');
  });
});
