import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { createSwapActivities } from '../../../../src/activities/postgres/restore/swap-activities';
import { editManifest } from '../../../support/damage';
import { runActivity, runSql, startTestPostgres, until, type TestPostgres } from '../../../support/postgres';
import { replicationStatements } from '../../../../src/workflows/database/replication';
import type { DatabaseRef } from '../../../../src/contract/place';
import type { Manifest } from '../../../../src/activities/postgres/backups/manifest';

let pg: TestPostgres;
const migrator = { user: 'keeper', password: 'keeper' };
beforeAll(async () => {
  pg = await startTestPostgres({
    settings: { wal_level: 'logical', wal_retrieve_retry_interval: '100ms' },
    template: `
      CREATE ROLE shop_owner; CREATE ROLE shop_guest; CREATE ROLE stranger;
      CREATE ROLE keeper LOGIN PASSWORD 'keeper' CREATEDB BYPASSRLS;
      GRANT shop_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO keeper;
      CREATE ROLE heir LOGIN PASSWORD 'heir' NOINHERIT; GRANT shop_owner TO heir;
      GRANT CREATE ON DATABASE postgres TO keeper;
      CREATE TABLE bookings (id serial PRIMARY KEY); INSERT INTO bookings DEFAULT VALUES;
      ALTER TABLE bookings OWNER TO shop_owner; GRANT SELECT ON bookings TO shop_guest`,
  });
});
afterAll(() => pg.stop());

/** What is said about a backup of a healthy database, after `change` on the server or in the manifest. */
async function checked(
  change: {
    sql?: string;
    manifest?: (manifest: Manifest) => void;
    role?: { user: string; password: string };
  } = {},
) {
  const db = await pg.fresh();
  await db.query(
    `ALTER DATABASE ${db.name} OWNER TO shop_owner; GRANT CREATE ON DATABASE ${db.name} TO keeper`,
  );
  if (change.sql !== undefined) await db.query(change.sql.replaceAll('$db', db.name));
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
  if (change.manifest !== undefined)
    editManifest(`${db.directory}/backups/shop/production/b1`, change.manifest);
  const { database } = db.deps.config.services['shop']!.environments['production']!;
  database.url = pg.urlOf(db.name, change.role ?? migrator);
  return runActivity(createSwapActivities(db.deps).checkRestorable, { ...db.place, backupId: 'b1' });
}

test('a documented role may restore what it is a member of, and only roles that are named are looked for', async () => {
  expect(await checked()).toEqual({
    problems: [],
    warnings: [],
    replication: { slots: [], subscriptions: [] },
  });
});

test.each<[string, Parameters<typeof checked>[0], RegExp]>([
  [
    'an extension that only a superuser may create',
    { sql: 'CREATE EXTENSION pageinspect' },
    /only a superuser may create the extension pageinspect/,
  ],
  [
    'an extension that the server lacks',
    { manifest: ({ extensions }) => void extensions.push({ name: 'postgis', version: '3' }) },
    /lacks the extension postgis: install its package/,
  ],
  [
    'an owner whose member it is not',
    { sql: 'CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO stranger' },
    /GRANT stranger TO keeper/,
  ],
  [
    'rights that it does not inherit',
    { role: { user: 'heir', password: 'heir' } },
    /does not inherit the rights of shop_owner, .*: (ALTER ROLE heir INHERIT|GRANT shop_owner TO heir WITH INHERIT TRUE)/,
  ],
  [
    'a role that was dropped since',
    {
      manifest: ({ roles }) =>
        void roles.push({ ...roles.find(({ name }) => name === 'shop_guest')!, name: 'gone', login: true }),
    },
    /lacks the role gone, .* CREATE ROLE gone LOGIN/,
  ],
  [
    'a setting of a role in the database',
    { sql: 'ALTER ROLE shop_guest IN DATABASE $db SET work_mem = 64' },
    /ALTER ROLE keeper CREATEROLE/,
  ],
  [
    'a live database of another owner',
    { sql: 'ALTER DATABASE $db OWNER TO stranger' },
    /may not rename .* belongs to stranger/,
  ],
  [
    'a setting that only a superuser may make',
    { sql: 'ALTER DATABASE $db SET log_min_duration_statement = 5' },
    /GRANT SET ON PARAMETER log_min_duration_statement TO keeper/,
  ],
  [
    'an event trigger',
    {
      sql: 'CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; ALTER FUNCTION f OWNER TO shop_owner; CREATE EVENT TRIGGER watched ON ddl_command_end EXECUTE FUNCTION f()',
    },
    /only a superuser may create event trigger watched, and keeper is none/,
  ],
  [
    'a publication of all tables, or of a schema',
    { sql: 'CREATE PUBLICATION everything FOR ALL TABLES; CREATE PUBLICATION s FOR TABLES IN SCHEMA public' },
    /only a superuser may create publication tables in schema s public, publication everything of all tables/,
  ],
  [
    'an owner who is a superuser',
    { sql: 'CREATE TABLE mine ()' },
    /may not give objects to their owner postgres, a superuser/,
  ],
  [
    'a subscription that goes on writing',
    {
      sql: `CREATE SUBSCRIPTION from_far CONNECTION 'host=192.0.2.1 dbname=far' PUBLICATION p WITH (connect = false, slot_name = 'far'); ALTER SUBSCRIPTION from_far ENABLE`,
    },
    /goes on writing .* ALTER SUBSCRIPTION from_far DISABLE/,
  ],
  [
    'a library that an extension cannot be created without',
    {
      manifest: (manifest) => {
        manifest.extensions.push({ name: 'pg_cron', version: '1.6' });
        manifest.preloadLibraries = ['pg_cron'];
      },
    },
    /extension pg_cron cannot be created before it is preloaded: add pg_cron to shared_preload_libraries and restart/,
  ],
  [
    'a newer server',
    { manifest: (manifest) => void (manifest.serverVersionNum = 990_001) },
    /is PostgreSQL \d+ and the backup is of 99/,
  ],
])('%s keeps a restore from beginning', async (_, change, said) => {
  const { problems } = await checked(change);
  expect(problems.join('\n')).toMatch(said);
});

test('what is otherwise on the server is a warning, with what to do', async () => {
  const { problems, warnings } = await checked({
    manifest: (manifest) => {
      manifest.preloadLibraries = ['$libdir/pg_stat_statements'];
      manifest.tablespaces = ['fast'];
      manifest.publications = ['of_before'];
      delete manifest.publicationsOfAllTables;
    },
  });
  expect(problems).toEqual([]);
  expect(warnings).toEqual([
    expect.stringMatching(/publications of_before is of all tables/),
    expect.stringMatching(/default tablespace, for fast is not .* CREATE TABLESPACE or GRANT CREATE/),
    expect.stringMatching(/preloaded pg_stat_statements, and this one does not: add pg_stat_statements to/),
  ]);
});

test('of a manifest with names only, slots and subscriptions are known by them', async () => {
  const { replication } = await checked({
    manifest: (manifest) => {
      delete manifest.replication;
      manifest.replicationSlots.push('to_the_warehouse');
      manifest.subscriptions.push('from_the_shop');
    },
  });
  expect(replication).toEqual({
    slots: [{ name: 'to_the_warehouse', plugin: null }],
    subscriptions: [{ name: 'from_the_shop', publications: null }],
  });
});

test('what reads and brings changes does not keep a database from being replaced, and is set up again by the statements that are left', async () => {
  const [db, upstream] = [await pg.fresh(), await pg.fresh()];
  await upstream.query('CREATE PUBLICATION p FOR TABLE bookings');
  await upstream.query(`SELECT pg_create_logical_replication_slot('from_the_shop', 'pgoutput')`);
  await db.query(
    `CREATE SUBSCRIPTION "the Shop" CONNECTION '${upstream.url}' PUBLICATION p WITH (create_slot = false, slot_name = from_the_shop, copy_data = false)`,
  );
  await db.query(`SELECT pg_create_logical_replication_slot('to_the_warehouse', 'test_decoding')`);
  const arrives = (id: number) =>
    until(async () => (await db.query(`SELECT 1 FROM bookings WHERE id = ${id}`)).length === 1);
  await upstream.query('INSERT INTO bookings VALUES (1000)');
  await arrives(1000);
  const consumer = spawn(join(pg.server.binDirectory, 'pg_recvlogical'), [
    ...['--dbname', db.url, '--slot=to_the_warehouse', '--start', '--no-loop', '--file=/dev/null'],
  ]);
  const gone = once(consumer, 'exit');
  await until(async () => (await db.query('SELECT 1 FROM pg_stat_replication')).length === 2);
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });

  const act = createSwapActivities(db.deps);
  const { replication } = await runActivity(act.inspectLive, db.place);
  expect(replication).toEqual({
    slots: [{ name: 'to_the_warehouse', plugin: 'test_decoding', twoPhase: false, failover: false }],
    subscriptions: [{ name: 'the Shop', publications: ['p'], slot: 'from_the_shop', enabled: true }],
  });
  expect((await runActivity(act.checkRestorable, { ...db.place, backupId: 'b1' })).replication).toEqual(
    replication,
  );
  const fence = { target: 'shop/production', token: 1 };
  const former = `${db.name}_former`;
  const into = { ...db.ref, database: `${db.name}_restored` } as DatabaseRef;
  await runActivity(createRestoreActivities(db.deps).restoreBackup, {
    ...{ ...db.place, backupId: 'b1', into, fence },
  });
  await runActivity(act.closeToWriters, { ...db.place, fence });
  await runActivity(act.swapDatabases, {
    ...{ ...db.place, restored: `${db.name}_restored`, previous: former, fence },
  });
  await gone;

  let conninfo = '';
  for (const line of replicationStatements(replication!, { live: db.name, former })) {
    const [, database, sql] = /^in (\S+): (.*)$/.exec(line)!;
    const [row] = await runSql<{ subconninfo?: string }>(
      pg.urlOf(database!),
      sql!.replace('<that subconninfo>', conninfo),
    );
    conninfo = row?.subconninfo ?? conninfo;
  }
  await upstream.query('INSERT INTO bookings VALUES (2000)');
  await arrives(2000);
  const changes = `SELECT FROM pg_logical_slot_peek_changes('to_the_warehouse', NULL, NULL) WHERE data LIKE '%2000%'`;
  await until(async () => (await db.query(changes)).length === 1);
});
