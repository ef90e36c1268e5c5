import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLintActivities } from '../../../../src/activities/postgres/migrations/lint-activities';
import { LINT_RULES } from '../../../../src/workflows/database/migrate-database/accept';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import { shopSchema, writeMigration } from './migration-fixtures';
import type { MigrationRef } from '../../../../src/contract/migration';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres({ template: shopSchema });
});
afterAll(() => server?.stop());

const lint = (database: TestDatabase, ...files: MigrationRef[]) =>
  runActivity(createLintActivities(database.deps).lintMigrations, { service: 'shop', files });

describe('lintMigrations', () => {
  it('tells file, line, rule and level, with lines counted from 1', async () => {
    const shop = await server.fresh();
    const text =
      '-- žluťoučký\n\nALTER TABLE orders ADD COLUMN a text NOT NULL;\nCREATE INDEX i\n  ON orders (a);\nDROP TABLE customers;\n';
    const found = await lint(shop, writeMigration(shop, '001.sql', text));
    expect(found.map(({ migration, line, rule, level }) => `${migration}:${line} ${rule} ${level}`)).toEqual([
      '001.sql:3 adding-required-field error',
      '001.sql:4 require-concurrent-index-creation error',
      '001.sql:6 ban-drop-table warning',
    ]);
  });

  it('has nothing against what we take care of, and against a concurrent build outside a transaction', async () => {
    const shop = await server.fresh();
    const good = writeMigration(shop, '001.sql', 'ALTER TABLE orders ADD COLUMN note text;');
    const index = writeMigration(shop, '002.sql', 'CREATE INDEX CONCURRENTLY i ON orders (total);');
    expect(await lint(shop, good, index)).toEqual([]);
  });

  it('leaves out the rules that the configuration ignores, and says so when one does not exist', async () => {
    const text = 'DROP TABLE customers;';
    const shop = await server.fresh({ service: { migrations: { lintIgnore: ['ban-drop-table'] } } });
    expect(await lint(shop, writeMigration(shop, '001.sql', text))).toEqual([]);
    const wrong = await server.fresh({ service: { migrations: { lintIgnore: ['no-such-rule'] } } });
    const failure = await failureOf(lint(wrong, writeMigration(wrong, '001.sql', text)));
    expect(failure).toMatchObject({ type: 'InvalidInput' });
    expect(failure.message).toContain('no-such-rule');
  });

  it('has every rule that a run may be told to accept', async () => {
    const shop = await server.fresh({ service: { migrations: { lintIgnore: [...LINT_RULES] } } });
    expect(await lint(shop, writeMigration(shop, '001.sql', 'DROP TABLE customers;'))).toEqual([]);
  });

  it('refuses a file that changed since it was read', async () => {
    const shop = await server.fresh();
    const migration = writeMigration(shop, '001.sql', 'SELECT 1;');
    writeMigration(shop, '001.sql', 'SELECT 2;');
    expect(await failureOf(lint(shop, migration))).toMatchObject({ type: 'MigrationChanged' });
  });

  it('stops exactly the unsafe migration of the sample', async () => {
    const shop = await server.fresh();
    const folder = join(__dirname, '..', '..', '..', '..', 'examples', 'booking', 'migrations');
    const names = readdirSync(folder).filter((name) => !name.includes('.down.'));
    const files = names.map((name) => writeMigration(shop, name, readFileSync(join(folder, name))));
    const severe = (await lint(shop, ...files)).filter(({ level }) => level === 'error');
    expect([...new Set(severe.map(({ migration }) => migration))]).toEqual([
      '2026_11_04_unsafe_type_change.sql',
    ]);
  });
});
