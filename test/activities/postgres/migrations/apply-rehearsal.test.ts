import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMigrationActivities } from '../../../../src/activities/postgres/migrations/migration-activities';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import { Client } from 'pg';
import { describeLocks, isAsPredicted, type MeasuredLock } from '../../../../src/contract/locks';
import { LockRecord } from '../../../../src/activities/postgres/migrations/lock-record';
import { parseScript } from '../../../../src/activities/postgres/migrations/parse';
import { locksOf } from '../../../../src/activities/postgres/migrations/table-locks';
import { apply, hasColumn, ledgerOf, shopSchema, writeMigration } from './migration-fixtures';
import type { DatabaseRef } from '../../../../src/contract/place';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

const role = { user: 'migrator', password: 'migrator-password' };

/** Says that the test's own server is a disposable cluster, entered as superuser. */
function asScratch(shop: TestDatabase): DatabaseRef {
  const directory = join(shop.directory, 'scratch', 'rehearsal');
  mkdirSync(directory, { recursive: true });
  const now = new Date().toISOString();
  writeFileSync(
    join(directory, 'durable-runbooks-scratch.json'),
    JSON.stringify({
      by: 'durable-runbooks',
      scratch: 'rehearsal',
      service: 'shop',
      environment: 'production',
      createdAt: now,
      expiresAt: now,
      major: 15,
      url: server.urlOf('postgres'),
      systemIdentifier: server.server.systemIdentifier,
    }),
  );
  return { kind: 'scratch', scratch: 'rehearsal', database: shop.name, of: shop.place };
}

describe('a rehearsal on a disposable cluster', () => {
  it("runs as production's own role, so what it may not do fails there already, and what it makes belongs to it", async () => {
    const shop = await server.fresh({ role });
    await shop.query(`CREATE ROLE migrator LOGIN PASSWORD 'migrator-password'; CREATE SCHEMA sales AUTHORIZATION migrator;
      ALTER TABLE orders OWNER TO migrator; GRANT CREATE ON SCHEMA public TO migrator;
      ALTER ROLE migrator SET search_path = sales, public`);
    const scratch = asScratch(shop);
    const forbidden = writeMigration(shop, '001.sql', 'ALTER TABLE customers ADD COLUMN note text;');
    const failure = await failureOf(apply(shop, forbidden, { database: scratch }));
    expect(failure.message).toMatch(/must be owner of table customers.*SQLSTATE 42501.*Grant the role/s);
    expect(await hasColumn(shop, 'customers', 'note')).toBe(false);

    const allowed = writeMigration(
      shop,
      '002.sql',
      'CREATE TABLE made (id int);\nALTER TABLE orders ADD COLUMN note text;',
      'DROP TABLE made;',
    );
    const { locks } = await apply(shop, allowed, { database: scratch });
    expect(locks).toEqual([
      {
        line: 2,
        table: 'public.orders',
        mode: 'AccessExclusiveLock',
        predicted: 'reads',
        heldMs: expect.any(Number) as number,
      },
    ]);
    expect(await shop.query(`SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'made'`)).toEqual(
      [{ schemaname: 'sales', tableowner: 'migrator' }],
    );
    await apply(shop, allowed, { database: scratch, direction: 'down' }, { attempt: 2 });
    expect((await ledgerOf(shop)).map(({ direction }) => direction)).toEqual(['up', 'down']);
  });

  it('takes writes also while a restore has closed production for a moment', async () => {
    const [shop, copy] = [await server.fresh(), await server.fresh()];
    const migration = writeMigration(shop, '001.sql', 'ALTER TABLE orders ADD COLUMN note text;');
    await shop.query(`ALTER DATABASE ${shop.name} SET default_transaction_read_only = on`);
    const database = { ...asScratch(shop), database: copy.name } as DatabaseRef;
    await apply(shop, migration, { database });
    expect(await hasColumn(copy, 'orders', 'note')).toBe(true);
    // What production gives its sessions was read once: the other applies of the rehearsal do not ask it again.
    const live = shop.deps.config.services['shop']!.environments['production']!.database;
    live.url = live.url.replace(/:\d+\//, ':1/');
    const next = writeMigration(shop, '002.sql', 'ALTER TABLE orders ADD COLUMN more text;');
    await apply(shop, next, { database });
    expect(await hasColumn(copy, 'orders', 'more')).toBe(true);
  });
});

describe('migrations.role', () => {
  const owned = (sql = '') => ({
    role: { user: 'deployer', password: 'deployer-password' },
    service: { migrations: { role: 'shop owner' } },
    sql: `DO $$ BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'deployer') THEN
        CREATE ROLE deployer LOGIN PASSWORD 'deployer-password'; CREATE ROLE "shop owner"; END IF;
      EXECUTE format('GRANT CREATE ON DATABASE %I TO deployer', current_database()); END $$;
      GRANT CREATE ON SCHEMA public TO "shop owner"; ALTER TABLE orders OWNER TO "shop owner"; ${sql}`,
  });
  const text =
    'CREATE TABLE made (id int);\nCREATE INDEX CONCURRENTLY orders_total ON orders (total);\nCREATE VIEW seen AS SELECT 1 AS one;';
  const owners = (shop: TestDatabase) =>
    shop.query(
      `SELECT relname, relowner::regrole::text AS owner FROM pg_class WHERE relname IN ('made', 'orders_total', 'seen', 'ledger') ORDER BY 1`,
    );

  it.each(['production', 'the clone'])(
    'gives what the files make to that role on %s, and keeps fence and ledger to the one that connects',
    async (where) => {
      // Without INHERIT only SET ROLE gives the rights of the owner.
      const shop = await server.fresh(owned('ALTER ROLE deployer NOINHERIT; GRANT "shop owner" TO deployer'));
      const migration = writeMigration(shop, '001.sql', text, 'DROP VIEW seen; DROP TABLE made;');
      const changed = where === 'production' ? {} : { database: asScratch(shop) };
      await apply(shop, migration, changed);
      const found = await owners(shop);
      expect(found.filter(({ relname }) => relname !== 'ledger')).toEqual([
        { relname: 'made', owner: '"shop owner"' },
        { relname: 'orders_total', owner: '"shop owner"' },
        { relname: 'seen', owner: '"shop owner"' },
      ]);
      expect(JSON.stringify(found)).not.toContain('"ledger","owner":"\\"shop owner');
      await apply(shop, migration, { ...changed, direction: 'down' }, { attempt: 2 });
      expect((await owners(shop)).map(({ relname }) => relname)).toEqual(['ledger', 'orders_total']);
    },
  );

  it('removes what a build that failed left behind', async () => {
    const shop = await server.fresh(
      owned('ALTER ROLE deployer NOINHERIT; GRANT "shop owner" TO deployer; UPDATE orders SET total = 1'),
    );
    const migration = writeMigration(
      shop,
      '001.sql',
      'CREATE UNIQUE INDEX CONCURRENTLY one_total ON orders (total);',
    );
    expect((await failureOf(apply(shop, migration))).message).toContain('SQLSTATE 23505');
    expect(await shop.query(`SELECT 1 FROM pg_class WHERE relname = 'one_total'`)).toEqual([]);
  });

  it('is there on the clone although nothing of the backup names it', async () => {
    const options = owned();
    options.service.migrations.role = 'owner of nothing';
    const shop = await server.fresh(options);
    const text = `DO $$ BEGIN IF current_user <> 'owner of nothing' THEN RAISE EXCEPTION 'not %', current_user; END IF; END $$`;
    const migration = writeMigration(shop, '001.sql', text);
    expect(await failureOf(apply(shop, migration))).toMatchObject({ type: 'MissingPrivilege' });
    expect(await apply(shop, migration, { database: asScratch(shop) })).toMatchObject({ alreadyDone: false });
  });

  it('says before anything is done that the role may not be taken, and how to allow it', async () => {
    const shop = await server.fresh(owned('REVOKE "shop owner" FROM deployer'));
    writeMigration(shop, '001.sql', text);
    const { readMigrations } = createMigrationActivities(shop.deps);
    const failure = await failureOf(runActivity(readMigrations, { ...shop.place, files: [] }));
    expect(failure.type).toBe('MissingPrivilege');
    expect(failure.message).toMatch(/deployer is not a member of it.*GRANT "shop owner" TO "deployer"/);
  });
});

/** A bit of everything that a migration may lock. */
const everything = `
  CREATE INDEX orders_total ON orders (total);
  CREATE UNIQUE INDEX orders_pair ON orders (customer_id, id);
  ALTER TABLE orders ADD CONSTRAINT positive CHECK (total >= 0) NOT VALID;
  CREATE TABLE notes (id int PRIMARY KEY, order_id bigint REFERENCES orders ON DELETE CASCADE, body text);
  ALTER TABLE notes ADD CONSTRAINT later FOREIGN KEY (id) REFERENCES customers (id) NOT VALID;
  CREATE VIEW dear AS SELECT id, total FROM orders WHERE total > 100;
  CREATE MATERIALIZED VIEW dearest AS SELECT max(total) AS total FROM orders;
  CREATE UNIQUE INDEX dearest_total ON dearest (total);
  CREATE SEQUENCE numbers;
  CREATE TYPE mood AS ENUM ('good');
  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER idle BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nothing();
  CREATE POLICY own ON customers USING (true);
  CREATE RULE quiet AS ON DELETE TO notes DO INSTEAD NOTHING;
  CREATE TABLE parts (id int, at date NOT NULL) PARTITION BY RANGE (at);
  CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
  CREATE TABLE parts_other PARTITION OF parts DEFAULT;
  CREATE TABLE parts_2 (id int, at date NOT NULL);
  CREATE TABLE parent (id int); CREATE TABLE child () INHERITS (parent);
  CREATE STATISTICS both_columns ON id, total FROM orders;
  CREATE SCHEMA archive;
  CREATE PUBLICATION changes FOR TABLE notes;`;

const STATEMENTS = [
  'ALTER TABLE orders ADD COLUMN note text',
  'ALTER TABLE orders ADD COLUMN IF NOT EXISTS total int',
  'ALTER TABLE orders ADD COLUMN other bigint REFERENCES customers',
  'ALTER TABLE orders ALTER COLUMN total SET DEFAULT 5',
  'ALTER TABLE orders ALTER COLUMN total DROP NOT NULL',
  'ALTER TABLE orders ALTER COLUMN total SET STATISTICS 500',
  'ALTER TABLE orders ALTER COLUMN total SET (n_distinct = 5)',
  'ALTER TABLE customers ALTER COLUMN name SET STORAGE EXTERNAL',
  'ALTER TABLE customers ALTER COLUMN tier TYPE text',
  'ALTER TABLE orders ADD CONSTRAINT more CHECK (total > -5)',
  'ALTER TABLE orders ADD CONSTRAINT more CHECK (total > -5) NOT VALID',
  'ALTER TABLE orders VALIDATE CONSTRAINT positive',
  'ALTER TABLE notes VALIDATE CONSTRAINT later',
  'ALTER TABLE orders DROP CONSTRAINT positive',
  'ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey',
  'ALTER TABLE orders DROP COLUMN customer_id',
  'ALTER TABLE orders DROP COLUMN total CASCADE',
  'ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES customers',
  'ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES customers NOT VALID',
  'ALTER TABLE orders ADD CONSTRAINT pair UNIQUE USING INDEX orders_pair',
  'ALTER TABLE orders DISABLE TRIGGER idle',
  'ALTER TABLE orders SET (fillfactor = 90)',
  'ALTER TABLE orders RESET (fillfactor)',
  'ALTER TABLE orders ENABLE ROW LEVEL SECURITY',
  'ALTER TABLE orders REPLICA IDENTITY FULL',
  'ALTER TABLE orders OWNER TO CURRENT_USER',
  'ALTER TABLE orders SET SCHEMA archive',
  'ALTER TABLE orders RENAME TO orders_old',
  'ALTER TABLE orders RENAME COLUMN total TO amount',
  'ALTER TABLE orders RENAME CONSTRAINT positive TO not_negative',
  'ALTER TABLE orders CLUSTER ON orders_total',
  'ALTER TABLE parts ADD COLUMN note text',
  'ALTER TABLE ONLY parent ALTER COLUMN id SET DEFAULT 1',
  'ALTER TABLE parts ALTER COLUMN id SET NOT NULL',
  'ALTER TABLE parts DROP COLUMN id',
  'ALTER TABLE parts SET SCHEMA archive',
  'ALTER TABLE parts RENAME COLUMN id TO number',
  'ALTER TABLE parts RENAME TO pieces',
  'ALTER TABLE parts OWNER TO CURRENT_USER',
  'ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE',
  'CREATE INDEX more ON parts (id)',
  'CREATE TRIGGER more BEFORE UPDATE ON parts FOR EACH ROW EXECUTE FUNCTION nothing()',
  'TRUNCATE parts',
  'LOCK TABLE parts',
  "ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
  'ALTER TABLE parts DETACH PARTITION parts_1',
  'ALTER TABLE parent ADD COLUMN note text',
  'ALTER TABLE child NO INHERIT parent',
  'ALTER INDEX orders_total RENAME TO orders_amount',
  'ALTER INDEX orders_total SET (fillfactor = 80)',
  'ALTER VIEW dear RENAME TO costly',
  'ALTER VIEW dear SET (security_barrier = true)',
  'ALTER SEQUENCE numbers INCREMENT BY 2',
  "ALTER TYPE mood ADD VALUE 'bad'",
  'ALTER TRIGGER idle ON orders RENAME TO still',
  'ALTER POLICY own ON customers USING (false)',
  'CREATE INDEX more ON orders (total)',
  'CREATE INDEX IF NOT EXISTS orders_total ON orders (total)',
  'CREATE TABLE more (id int REFERENCES orders)',
  'CREATE TABLE more (LIKE orders)',
  "CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')",
  'CREATE TABLE grandchild () INHERITS (child)',
  'CREATE TABLE more AS SELECT * FROM orders',
  'CREATE TRIGGER more BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION nothing()',
  'CREATE RULE more AS ON DELETE TO orders DO INSTEAD NOTHING',
  'CREATE POLICY more ON orders USING (true)',
  'CREATE STATISTICS more ON id, customer_id FROM orders',
  'CREATE OR REPLACE VIEW dear AS SELECT id, total FROM orders WHERE total > 200',
  'CREATE VIEW more AS SELECT * FROM orders',
  'CREATE PUBLICATION more FOR TABLE orders',
  "COMMENT ON TABLE orders IS 'x'",
  'GRANT SELECT ON orders TO PUBLIC',
  'DROP TABLE notes',
  'DROP TABLE orders CASCADE',
  'DROP TABLE parts_1',
  'DROP TABLE parts',
  'DROP VIEW dear',
  'DROP MATERIALIZED VIEW dearest',
  'DROP INDEX orders_total',
  'DROP TRIGGER idle ON orders',
  'DROP POLICY own ON customers',
  'DROP RULE quiet ON notes',
  'DROP SEQUENCE numbers',
  'DROP STATISTICS both_columns',
  'TRUNCATE notes',
  'TRUNCATE orders CASCADE',
  'LOCK TABLE orders IN SHARE MODE',
  'LOCK TABLE orders',
  'LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE',
  'REFRESH MATERIALIZED VIEW dearest',
  'REFRESH MATERIALIZED VIEW CONCURRENTLY dearest',
  'CLUSTER orders USING orders_total',
  'REINDEX TABLE orders',
  'REINDEX INDEX orders_total',
  'INSERT INTO notes VALUES (1)',
  'UPDATE orders SET total = 1 WHERE id = 1',
  'DELETE FROM parent',
  'ANALYZE orders',
];

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
