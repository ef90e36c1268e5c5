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
import type { DatabaseRef } from '../../../../src/contract/place';
import { apply, hasColumn, ledgerOf, shopSchema, writeMigration } from './migration-fixtures';

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
