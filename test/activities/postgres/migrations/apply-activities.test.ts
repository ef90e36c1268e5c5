import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { failureOf, startTestPostgres, type TestPostgres } from '../../../support/postgres';
import { apply, hasColumn, ledgerOf, shopSchema, startApply, writeMigration } from './migration-fixtures';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

const NOTE =
  'ALTER TABLE customers ADD COLUMN note text;\nCREATE INDEX customers_note ON customers (note);\n';

describe('applyMigration', () => {
  it('applies a file and its ledger row in one transaction, and takes it back with the down script', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001_note.sql', NOTE, 'ALTER TABLE customers DROP COLUMN note;');
    const result = await apply(shop, migration);
    expect(result).toMatchObject({ alreadyDone: false, statements: 2, lockAttempts: 1, direction: 'up' });
    expect(result.totalBlockMs).toBeLessThan(2_000);
    expect(await hasColumn(shop, 'customers', 'note')).toBe(true);
    expect(await ledgerOf(shop)).toEqual([
      { migration: '001_note.sql', direction: 'up', statement: 0, status: 'finished' },
    ]);
    const down = await apply(shop, migration, { direction: 'down' });
    expect(down).toMatchObject({ alreadyDone: false, direction: 'down' });
    expect(await hasColumn(shop, 'customers', 'note')).toBe(false);
    expect(await apply(shop, migration, { direction: 'down' })).toMatchObject({ alreadyDone: true });
    expect(await apply(shop, migration)).toMatchObject({ alreadyDone: false });
    expect(await hasColumn(shop, 'customers', 'note')).toBe(true);
  });

  it('does nothing where the ledger has it already, and refuses other content under that name', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001_note.sql', NOTE);
    await apply(shop, migration);
    expect(await apply(shop, migration)).toMatchObject({ alreadyDone: true, totalBlockMs: 0 });
    const other = writeMigration(shop, '001_note.sql', `${NOTE}ALTER TABLE orders ADD COLUMN x int;`);
    expect(await failureOf(apply(shop, other))).toMatchObject({
      type: 'MigrationConflict',
      nonRetryable: true,
    });
    expect(await hasColumn(shop, 'orders', 'x')).toBe(false);
  });

  it('refuses a file, or a way back, that changed after it was approved', async () => {
    const shop = await server.fresh();
    const folder = join(shop.directory, 'migrations');
    const migration = writeMigration(shop, '001_note.sql', NOTE, 'ALTER TABLE customers DROP COLUMN note;');
    for (const [file, text] of [
      ['001_note.sql', `${NOTE}DROP TABLE orders;`],
      ['001_note.down.sql', 'DROP TABLE customers;'],
    ] as const) {
      writeFileSync(join(folder, file), text);
      expect(await failureOf(apply(shop, migration))).toMatchObject({ type: 'MigrationChanged' });
      writeMigration(shop, '001_note.sql', NOTE, 'ALTER TABLE customers DROP COLUMN note;');
    }
    expect(await hasColumn(shop, 'customers', 'note')).toBe(false);
  });

  it.each([
    ['edited', (folder: string) => writeFileSync(join(folder, '001_note.down.sql'), 'DROP TABLE customers;')],
    ['removed, with all the others', (folder: string) => rmSync(folder, { recursive: true })],
  ])('goes back with the script that was approved where the file is %s', async (_how, spoil) => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001_note.sql', NOTE, 'ALTER TABLE customers DROP COLUMN note;');
    await apply(shop, migration);
    spoil(join(shop.directory, 'migrations'));
    expect(await apply(shop, migration, { direction: 'down' })).toMatchObject({ alreadyDone: false });
    expect(await hasColumn(shop, 'customers', 'note')).toBe(false);
  });

  it('refuses a way back that it neither finds nor kept', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001_note.sql', NOTE);
    await apply(shop, migration);
    const other = { ...migration, downSha256: 'f'.repeat(64) };
    const failure = await failureOf(apply(shop, other, { direction: 'down' }));
    expect(failure).toMatchObject({ type: 'MigrationChanged' });
    expect(failure.message).toContain('it is gone now');
    expect(await hasColumn(shop, 'customers', 'note')).toBe(true);
  });

  it('leaves nothing behind when a later statement fails, and shows line, caret, SQLSTATE and what to do', async () => {
    const shop = await server.fresh();
    const text =
      '-- Überraschung\nALTER TABLE customers ADD COLUMN note text;\nUPDATE customers\n   SET nite = name WHERE id = 1;\n';
    const failure = await failureOf(apply(shop, writeMigration(shop, '002_bad.sql', text)));
    expect(failure).toMatchObject({ type: 'MigrationFailed', nonRetryable: true });
    expect(failure.message).toMatch(/002_bad\.sql:4: UPDATE/);
    expect(failure.message).toContain('SQLSTATE 42703');
    const lines = failure.message.split('\n');
    const caret = lines.findIndex((line) => line.trim() === '^');
    expect(lines[caret - 1]?.slice(lines[caret]?.indexOf('^')).startsWith('nite')).toBe(true);
    expect(failure.message).toContain('Nothing was changed');
    expect(await hasColumn(shop, 'customers', 'note')).toBe(false);
    expect(await ledgerOf(shop)).toEqual([]);
  });

  it('names the table of a violated constraint', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(
      shop,
      '003.sql',
      'INSERT INTO orders (customer_id, total) VALUES (99999, 1);',
    );
    const { message } = await failureOf(apply(shop, migration));
    expect(message).toMatch(
      /Table orders, constraint orders_customer_id_fkey.*Find the rows without a partner/s,
    );
  });

  it('refuses to rewrite a table unless that was approved', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '004.sql', 'ALTER TABLE orders ALTER COLUMN total TYPE bigint;');
    const failure = await failureOf(apply(shop, migration));
    expect(failure).toMatchObject({ type: 'MigrationInvalid' });
    expect(failure.message).toMatch(/004\.sql:1.*the type of column total changes.*"table-rewrite"/s);
    expect(await apply(shop, migration, { allowRewrite: true })).toMatchObject({ alreadyDone: false });
  });

  it('notices a rewrite that the file does not show, and takes it back', async () => {
    const shop = await server.fresh();
    const text = "DO $$ BEGIN EXECUTE 'ALTER TABLE orders ALTER COLUMN total TYPE bigint'; END $$;";
    const failure = await failureOf(apply(shop, writeMigration(shop, '005.sql', text)));
    expect(failure).toMatchObject({ type: 'MigrationInvalid' });
    expect(failure.message).toContain('public.orders');
    const [column] = await shop.query<{ data_type: string }>(
      `SELECT data_type FROM information_schema.columns WHERE table_name = 'orders' AND column_name = 'total'`,
    );
    expect(column?.data_type).toBe('integer');
  });

  it('stops a transaction that would keep others waiting for too long in all', async () => {
    const shop = await server.fresh({ service: { migrations: { lockTimeoutMs: 100 } } });
    const text = 'ALTER TABLE orders ADD COLUMN a int;\nSELECT pg_sleep(3);\nSELECT pg_sleep(30);';
    const failure = await failureOf(apply(shop, writeMigration(shop, '006.sql', text)));
    expect(failure.message).toMatch(/006\.sql:3: .*kept waiting/s);
    expect(await hasColumn(shop, 'orders', 'a')).toBe(false);
  });

  it('commits each statement by itself where the file says so, and goes on where it stopped', async () => {
    const shop = await server.fresh();
    const text =
      '-- runbooks: split\nALTER TABLE orders ADD COLUMN a int;\nSET search_path = public;\nALTER TABLE orders ADD COLUMN b int;\n';
    const migration = writeMigration(
      shop,
      '007.sql',
      text,
      'ALTER TABLE orders DROP COLUMN a, DROP COLUMN b;',
    );
    await shop.query('ALTER TABLE orders ADD COLUMN b text');
    const failure = await failureOf(apply(shop, migration));
    expect(failure.message).toMatch(/SQLSTATE 42701.*2 of 3 statements are committed and stay/s);
    expect(await hasColumn(shop, 'orders', 'a')).toBe(true);
    await shop.query('ALTER TABLE orders DROP COLUMN b');
    expect(await apply(shop, migration)).toMatchObject({ alreadyDone: false });
    expect((await ledgerOf(shop)).map(({ statement }) => statement)).toEqual([1, 3, 0]);
    expect(await apply(shop, migration)).toMatchObject({ alreadyDone: true });
    expect(await apply(shop, migration, { direction: 'down' })).toMatchObject({ alreadyDone: false });
    expect(await hasColumn(shop, 'orders', 'a')).toBe(false);
  });

  it('carries SET LOCAL on to every part of a file that is split, also where it is continued', async () => {
    const shop = await server.fresh({ sql: 'CREATE SCHEMA sales' });
    const text =
      '-- runbooks: split\n-- why\nSET LOCAL search_path = sales;\nCREATE TABLE first (id int);\nCREATE TABLE second (id int);';
    const migration = writeMigration(shop, '007.sql', text);
    await shop.query('CREATE TABLE sales.second ()');
    await failureOf(apply(shop, migration));
    await shop.query('DROP TABLE sales.second');
    await apply(shop, migration);
    expect(
      await shop.query(
        `SELECT schemaname, tablename FROM pg_tables WHERE tablename IN ('first', 'second') ORDER BY 2`,
      ),
    ).toEqual([
      { schemaname: 'sales', tablename: 'first' },
      { schemaname: 'sales', tablename: 'second' },
    ]);
  });

  it('uses a new enum value in the file that adds it', async () => {
    const shop = await server.fresh({ sql: `CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE moods (m mood);` });
    const migration = writeMigration(
      shop,
      '008.sql',
      `ALTER TYPE mood ADD VALUE 'great';\nINSERT INTO moods VALUES ('great');`,
    );
    await apply(shop, migration);
    expect(await shop.query('SELECT m FROM moods')).toEqual([{ m: 'great' }]);
  });

  it('cancels the statement on the server when the activity is cancelled, and leaves nothing', async () => {
    const shop = await server.fresh();
    const run = startApply(
      shop,
      writeMigration(shop, '009.sql', 'ALTER TABLE orders ADD COLUMN a int;\nSELECT pg_sleep(4);'),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    run.cancel();
    const failure = await failureOf(run.result);
    expect(failure.name).toBe('CancelledFailure');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(
      await shop.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_sleep(4)%' AND state <> 'idle' AND pid <> pg_backend_pid()`,
      ),
    ).toEqual([]);
    expect(await hasColumn(shop, 'orders', 'a')).toBe(false);
    expect(run.beats).toContainEqual({ phase: 'up', done: 1, total: 2, unit: 'statements' });
  });

  it('changes nothing in a database that is not the registered one', async () => {
    const shop = await server.fresh({ identity: { systemIdentifier: '1234567890123456789' } });
    const failure = await failureOf(apply(shop, writeMigration(shop, '010.sql', NOTE)));
    expect(failure.type).toBe('WrongDatabase');
    expect(await hasColumn(shop, 'customers', 'note')).toBe(false);
  });
});
