/** What the text of a file, a role without special rights or an attempt that was given up hide from view. */
import { Client } from 'pg';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  until,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import {
  apply,
  fence,
  hasColumn,
  ledgerOf,
  shopSchema,
  startApply,
  writeMigration,
} from './migration-fixtures';

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

async function holdTable(database: TestDatabase, table = 'orders'): Promise<Client> {
  const holder = await connect(database, 'forgetful');
  await holder.query('BEGIN');
  await holder.query(`SELECT count(*) FROM ${table}`);
  return holder;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const quick = { migrations: { lockTimeoutMs: 100, lockDeadlineSeconds: 20 } };
const inBlock = (sql: string) => `DO $$ BEGIN EXECUTE '${sql}'; END $$;`;

describe('an attempt that was given up but still waits', () => {
  it('does not apply what a later step has already taken back', async () => {
    const shop = await server.fresh({ service: quick });
    const text = 'ALTER TABLE orders ADD COLUMN a int;';
    const migration = writeMigration(shop, '001.sql', text, 'ALTER TABLE orders DROP COLUMN a;');
    const holder = await holdTable(shop);
    const ghost = startApply(shop, migration, {}, { activityId: '7' });
    await until(() => ghost.beats.some((beat) => /waiting/.test((beat as { phase: string }).phase)));
    const down = await apply(shop, migration, { direction: 'down' }, { activityId: '8' });
    expect(down).toMatchObject({ alreadyDone: true });
    await holder.query('COMMIT');
    expect((await failureOf(ghost.result)).type).toBe('StaleFencingToken');
    expect(await hasColumn(shop, 'orders', 'a')).toBe(false);
  });
});

it('shows in the ledger once it can no longer commit, and not before', async () => {
  const shop = await server.fresh();
  const slow = writeMigration(
    shop,
    '001.sql',
    `CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
     CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slowly();
     INSERT INTO orders (customer_id, total) VALUES (1, 1);`,
  );
  const applying = startApply(shop, slow, {}, { activityId: '1' });
  // While it commits.
  const committing = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND query = 'COMMIT' AND state = 'active'`;
  await until(async () => (await shop.query(committing)).length > 0);
  const { readLedger } = createMigrationActivities(shop.deps);
  const ledger = await runActivity(readLedger, { database: shop.ref, fence }, { activityId: '2' });
  expect(ledger.map(({ name }) => name)).toEqual(['001.sql']);
  await applying.result;
});

describe('what the file does not show', () => {
  it('stops a script whose block holds a lock for too long', async () => {
    const shop = await server.fresh({ service: quick });
    const text = `${inBlock('ALTER TABLE orders ADD COLUMN a int')}\nSELECT pg_sleep(12);`;
    const failure = await failureOf(apply(shop, writeMigration(shop, '001.sql', text)));
    expect(failure.message).toContain('kept waiting');
    expect(await hasColumn(shop, 'orders', 'a')).toBe(false);
  });

  it('stops a single block that holds a lock for too long', async () => {
    const shop = await server.fresh({ service: quick });
    const text = 'DO $$ BEGIN ALTER TABLE orders ADD COLUMN a int; PERFORM pg_sleep(12); END $$;';
    const failure = await failureOf(apply(shop, writeMigration(shop, '001.sql', text)));
    expect(failure.message).toContain('kept waiting');
    expect(await hasColumn(shop, 'orders', 'a')).toBe(false);
  });

  it('lets a block that stops nobody take its time', async () => {
    const shop = await server.fresh({ service: quick });
    const text = 'DO $$ BEGIN UPDATE orders SET total = total + 1 WHERE id = 1; PERFORM pg_sleep(6); END $$;';
    expect(await apply(shop, writeMigration(shop, '001.sql', text))).toMatchObject({ totalBlockMs: 0 });
  });

  it('counts the time for which a block held locks', async () => {
    const shop = await server.fresh();
    const text = `${inBlock('ALTER TABLE orders ADD COLUMN a int')}\nSELECT pg_sleep(1);`;
    const result = await apply(shop, writeMigration(shop, '001.sql', text));
    expect(result.totalBlockMs).toBeGreaterThan(900);
  });

  it('does not judge again what is applied already', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', 'ALTER TABLE orders ALTER COLUMN total TYPE bigint;');
    await apply(shop, migration, { allowRewrite: true });
    expect(await apply(shop, migration)).toMatchObject({ alreadyDone: true });
  });

  it('has fresh patience for each statement', async () => {
    const shop = await server.fresh({
      service: { migrations: { lockTimeoutMs: 100, lockDeadlineSeconds: 2 } },
    });
    const text = '-- runbooks: split\nSELECT pg_sleep(3);\nALTER TABLE orders ADD COLUMN a int;';
    const holder = await holdTable(shop);
    const run = startApply(shop, writeMigration(shop, '001.sql', text));
    await wait(3_800);
    await holder.query('COMMIT');
    expect(await run.result).toMatchObject({ alreadyDone: false });
  });
});

describe('outside of a transaction', () => {
  const things = `CREATE SCHEMA app; CREATE TABLE app.things (id int); INSERT INTO app.things VALUES (1), (1);`;
  const oidOf = async (shop: TestDatabase) =>
    (await shop.query<{ oid: number | null }>(`SELECT to_regclass('app.things_id')::oid AS oid`))[0]?.oid;

  it('does not let VACUUM FULL stand in the queue', async () => {
    const shop = await server.fresh({ service: quick });
    const holder = await holdTable(shop);
    const migration = writeMigration(shop, '001.sql', 'VACUUM FULL orders;');
    const run = startApply(shop, migration, { allowRewrite: true });
    const reader = await connect(shop, 'reader');
    const released = wait(3_000).then(() => holder.query('COMMIT'));
    // None may wait for a lock longer than that; the server counts.
    await reader.query('SET lock_timeout = 1500');
    for (const end = Date.now() + 4_000; Date.now() < end; await wait(10))
      await reader.query('SELECT count(*) FROM orders');
    await released;
    expect(await run.result).toMatchObject({ alreadyDone: false });
  });

  it('refuses the invalid index of somebody else also where the file sets search_path', async () => {
    const shop = await server.fresh({ sql: things });
    await failureOf(shop.query('CREATE UNIQUE INDEX CONCURRENTLY things_id ON app.things (id)'));
    const before = await oidOf(shop);
    const text = 'SET search_path = app;\nCREATE INDEX CONCURRENTLY things_id ON things (id);';
    const failure = await failureOf(apply(shop, writeMigration(shop, '001.sql', text)));
    expect(failure.type).toBe('MigrationConflict');
    expect(before).not.toBeNull();
    expect(await oidOf(shop)).toBe(before);
  });

  it('removes what a failed build left also where the file sets search_path', async () => {
    const shop = await server.fresh({ sql: things });
    const text = 'SET search_path = app;\nCREATE UNIQUE INDEX CONCURRENTLY things_id ON things (id);';
    expect((await failureOf(apply(shop, writeMigration(shop, '001.sql', text)))).type).toBe(
      'MigrationFailed',
    );
    expect(await oidOf(shop)).toBeNull();
  });

  it('lets a file be corrected after its only build failed and left nothing', async () => {
    const shop = await server.fresh();
    await shop.query('INSERT INTO orders (customer_id, total) VALUES (1, 1), (1, 1)');
    const bad = 'CREATE UNIQUE INDEX CONCURRENTLY orders_total ON orders (total);';
    expect((await failureOf(apply(shop, writeMigration(shop, '001.sql', bad)))).type).toBe('MigrationFailed');
    const good = 'CREATE INDEX CONCURRENTLY orders_total ON orders (total);';
    expect(await apply(shop, writeMigration(shop, '001.sql', good))).toMatchObject({ alreadyDone: false });
    expect((await ledgerOf(shop)).at(-1)).toMatchObject({ statement: 0, status: 'finished' });
  });

  it('finishes a DETACH CONCURRENTLY that was cancelled half-way', async () => {
    const shop = await server.fresh({
      service: quick,
      sql: `CREATE TABLE logs (id int) PARTITION BY RANGE (id); CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (0) TO (10);`,
    });
    const migration = writeMigration(
      shop,
      '001.sql',
      'ALTER TABLE logs DETACH PARTITION logs_1 CONCURRENTLY;',
    );
    // Holds the parent only, so that the wait is the one in the middle.
    const holder = await connect(shop, 'forgetful');
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE ONLY logs IN ACCESS SHARE MODE');
    const first = startApply(shop, migration);
    await until(
      async () => (await shop.query('SELECT 1 FROM pg_inherits WHERE inhdetachpending')).length > 0,
    );
    first.cancel();
    expect((await failureOf(first.result)).name).toBe('CancelledFailure');
    await holder.query('COMMIT');
    expect(await apply(shop, migration, {}, { attempt: 2 })).toMatchObject({ alreadyDone: false });
    expect(await shop.query('SELECT 1 FROM pg_inherits')).toEqual([]);
  });
});

describe('a role without pg_monitor', () => {
  it('evicts an autovacuum at the first try all the same', async () => {
    const cluster = await startTestPostgres({ settings: { autovacuum_naptime: '1s' } });
    try {
      await (await cluster.fresh()).query(`CREATE ROLE plain LOGIN PASSWORD 'plain-password'`);
      const shop = await cluster.fresh({
        role: { user: 'plain', password: 'plain-password' },
        service: { migrations: { lockDeadlineSeconds: 15 } },
        sql: `
          CREATE TABLE busy (id int, filler text) WITH (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0,
            autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
          INSERT INTO busy SELECT n, repeat('x', 500) FROM generate_series(1, 20000) AS n;
          CREATE INDEX ON busy (id);
          DELETE FROM busy WHERE id % 2 = 0;`,
      });
      await shop.query(`ALTER TABLE busy OWNER TO plain; GRANT CREATE ON DATABASE ${shop.name} TO plain`);
      const vacuum = `SELECT 1 FROM pg_stat_progress_vacuum WHERE relid = 'busy'::regclass`;
      await until(async () => (await shop.query(vacuum)).length > 0, 60_000);
      const migration = writeMigration(shop, '001.sql', 'ALTER TABLE busy ADD COLUMN note text;');
      expect(await apply(shop, migration)).toMatchObject({ lockAttempts: 1, alreadyDone: false });
    } finally {
      await cluster.stop();
    }
  });
});
