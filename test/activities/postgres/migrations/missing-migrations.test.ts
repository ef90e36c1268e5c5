import { createMissingMigrationActivities } from '../../../../src/activities/postgres/migrations/missing-migrations';
import type { DatabaseRef } from '../../../../src/contract/place';
import { runActivity, runSql, type TestDatabase } from '../../../support/postgres';
import { up, useScripts } from './script-world';

const { postgres, database, record } = useScripts();
const FILES = { '01.sql': up, '02.sql': 'SELECT 2;', '03.sql': 'SELECT 3;', '04.sql': 'SELECT 4;' };

type Environments = Record<string, { database: { url: string; identity: { database: string } } }>;
const environmentsOf = (db: TestDatabase) =>
  db.deps.config.services['shop']!.environments as unknown as Environments;

/** A database of its own, as that of a disposable cluster is. */
const COPY: DatabaseRef = { kind: 'service', service: 'shop', environment: 'copy' };
async function copy(db: TestDatabase): Promise<void> {
  await runSql(postgres.urlOf('postgres'), `CREATE DATABASE ${db.name}_copy TEMPLATE ${db.name}`);
  const { database } = environmentsOf(db)['production']!;
  const url = postgres.urlOf(`${db.name}_copy`);
  environmentsOf(db)['copy'] = {
    database: { ...database, url, identity: { ...database.identity, database: `${db.name}_copy` } },
  };
}
const missing = (db: TestDatabase) =>
  runActivity(createMissingMigrationActivities(db.deps).findMissingMigrations, {
    ...db.place,
    copy: COPY,
  });

it('names what the live database has and a copy of its backup lacks, by our ledger and by that of a tool', async () => {
  const db = await database(FILES, {
    service: { migrations: { ledgerQuery: 'SELECT name FROM schema_migrations' } },
  });
  await db.query(
    `CREATE TABLE schema_migrations (name text); INSERT INTO schema_migrations VALUES ('01.sql')`,
  );
  await record(db, []);
  await copy(db);
  expect(await missing(db)).toEqual({ count: 0, names: [], byFolder: false });
  await record(db, [{ migration: '02.sql', text: FILES['02.sql'] }]);
  await db.query(`INSERT INTO schema_migrations VALUES ('03.sql')`);
  // The last one is applied nowhere, and so not missing.
  const { names, ...found } = await missing(db);
  expect([found, names.sort()]).toEqual([{ count: 2, byFolder: false }, ['02.sql', '03.sql']]);
});

it('names those of the folder while the live database is away, and says so; an unreadable copy is not known', async () => {
  const db = await database(FILES);
  await record(db, [{ migration: '01.sql', text: up }]);
  expect(await missing(db)).toMatchObject({
    count: null,
    names: [],
    problem: expect.stringContaining('copy'),
  });
  await copy(db);
  environmentsOf(db)['production']!.database.identity.database = 'another';
  expect(await missing(db)).toMatchObject({ byFolder: true, names: ['02.sql', '03.sql', '04.sql'] });
});

it('knows nothing where no ledger names anything that is applied: that is not the same as none missing', async () => {
  const db = await database(FILES);
  await record(db, []);
  await copy(db);
  expect(await missing(db)).toMatchObject({ count: null, problem: expect.stringContaining('ledgerQuery') });
});
