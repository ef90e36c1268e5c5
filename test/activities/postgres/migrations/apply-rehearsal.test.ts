import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  failureOf,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
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
  return { kind: 'scratch', scratch: 'rehearsal', database: shop.name };
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
    await apply(shop, allowed, { database: scratch });
    expect(await shop.query(`SELECT schemaname, tableowner FROM pg_tables WHERE tablename = 'made'`)).toEqual(
      [{ schemaname: 'sales', tableowner: 'migrator' }],
    );
    await apply(shop, allowed, { database: scratch, direction: 'down' }, { attempt: 2 });
    expect((await ledgerOf(shop)).map(({ direction }) => direction)).toEqual(['up', 'down']);
  });
});
