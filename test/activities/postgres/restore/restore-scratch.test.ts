import { join } from 'node:path';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { readManifest } from '../../../../src/activities/postgres/backups/manifest';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { editManifest } from '../../../support/damage';
import { failureOf, runActivity, runSql } from '../../../support/postgres';
import { beside, inScratch, query, restore, useRestores, withScratches } from './restore-world';

const { pg, fence, backedUp, databases } = useRestores({ withScratch: true });

describe('into a disposable cluster', () => {
  test('everything comes back, marked as a drill, and production is not touched', async () => {
    const { db } = await backedUp();
    const result = await restore(db, inScratch(db));
    expect(result).toMatchObject({ backupId: 'b1', database: inScratch(db) });
    expect(result.sizeBytes).toBeGreaterThan(1_000_000);
    expect(
      await query(
        db,
        inScratch(db),
        'SELECT (SELECT count(*) FROM bookings)::int AS b, (SELECT count(*) FROM customers)::int AS c',
      ),
    ).toEqual([{ b: 3000, c: 100 }]);
    const [comment] = await query<{ text: string }>(
      db,
      inScratch(db),
      `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = current_database()`,
    );
    expect(JSON.parse(comment!.text)).toMatchObject({
      by: 'durable-runbooks',
      kind: 'drill',
      backupId: 'b1',
      service: 'shop',
    });
    expect(await databases(`${db.name}%`)).toEqual([db.name]);
  });

  test('a role that is missing there is created first, so that grants and policies are not lost', async () => {
    const role = `auditor_${process.pid}`;
    await runSql(
      pg.urlOf('postgres'),
      `CREATE ROLE ${role} LOGIN PASSWORD 'auditor-password'; CREATE ROLE ${role}_group; GRANT ${role}_group TO ${role}`,
    );
    const { db } = await backedUp({
      sql: `GRANT SELECT ON bookings TO ${role}; ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;
            CREATE POLICY mine ON bookings TO ${role} USING (customer_id = 1); ALTER TABLE customers OWNER TO ${role}_group`,
    });
    await restore(db, inScratch(db));
    const [found] = await query(
      db,
      inScratch(db),
      `SELECT has_table_privilege('${role}', 'bookings', 'SELECT') AS may, (SELECT roles::text FROM pg_policies WHERE policyname = 'mine') AS policy,
              (SELECT tableowner FROM pg_tables WHERE tablename = 'customers') AS owner, pg_has_role('${role}', '${role}_group', 'MEMBER') AS member,
              (SELECT rolcanlogin FROM pg_roles WHERE rolname = '${role}') AS login, (SELECT rolpassword FROM pg_authid WHERE rolname = '${role}') AS password`,
    );
    expect(found).toEqual({
      may: true,
      policy: `{${role}}`,
      owner: `${role}_group`,
      member: true,
      login: false,
      password: null,
    });
  });

  test('a subscription is left out: it would take over the slot of the real one', async () => {
    const { db } = await backedUp({
      sql: `CREATE SUBSCRIPTION from_far CONNECTION 'host=192.0.2.1 dbname=far' PUBLICATION p WITH (connect = false, slot_name = 'real_slot')`,
    });
    const { manifest } = await readManifest(join(db.directory, 'backups/shop/production/b1'));
    expect(manifest.subscriptions).toEqual(['from_far']);
    await restore(db, inScratch(db));
    expect(await query(db, inScratch(db), 'SELECT subname FROM pg_subscription')).toEqual([]);
    await db.query(`ALTER SUBSCRIPTION from_far SET (slot_name = NONE); DROP SUBSCRIPTION from_far`);
  });

  test('the credentials of foreign servers are left out', async () => {
    const { db } = await backedUp({
      sql: `CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '192.0.2.1');
            CREATE USER MAPPING FOR postgres SERVER far OPTIONS (user 'u', password 'far-password');`,
    });
    await restore(db, inScratch(db));
    expect(await query(db, inScratch(db), 'SELECT srvname FROM pg_foreign_server')).toEqual([
      { srvname: 'far' },
    ]);
    expect(await query(db, inScratch(db), 'SELECT 1 FROM pg_user_mappings')).toEqual([]);
  });

  test('the copy takes the fence that is given', async () => {
    const { db } = await backedUp();
    await restore(db, inScratch(db), fence);
    expect(await query(db, inScratch(db), 'SELECT target, token FROM durable_runbooks.fence')).toEqual([
      { target: fence.target, token: String(fence.token) },
    ]);
  });

  test('an encoding and locale other than the server’s come back', async () => {
    const db = await pg.fresh({ service: withScratches(pg) });
    await runSql(pg.urlOf('postgres'), `DROP DATABASE ${db.name}`);
    await runSql(
      pg.urlOf('postgres'),
      `CREATE DATABASE ${db.name} TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'`,
    );
    await db.query(`CREATE TABLE t (a text); INSERT INTO t VALUES ('b'), ('B'), ('ä')`);
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    await runActivity(createRestoreActivities(db.deps).restoreBackup, {
      ...db.place,
      backupId: 'b1',
      into: inScratch(db),
      fence: null,
    });
    const sql =
      'SELECT pg_encoding_to_char(encoding) AS encoding, datcollate FROM pg_database WHERE datname = current_database()';
    expect(await query(db, inScratch(db), sql)).toEqual([{ encoding: 'LATIN1', datcollate: 'C' }]);
    expect(await query(db, inScratch(db), 'SELECT a FROM t ORDER BY a')).toEqual(
      ['B', 'b', 'ä'].map((a) => ({ a })),
    );
  });
});

describe('into a disposable cluster with the rights of the live role', () => {
  const keeper = { user: 'keeper', password: 'keeper' };
  beforeAll(() =>
    runSql(
      pg.urlOf('postgres'),
      `CREATE ROLE shop_owner; CREATE ROLE shop_guest; CREATE ROLE stranger;
       CREATE ROLE keeper LOGIN PASSWORD 'keeper' CREATEDB BYPASSRLS; GRANT CREATE ON DATABASE postgres TO keeper;
       GRANT shop_owner, pg_read_all_data, pg_monitor, pg_signal_backend TO keeper`,
    ),
  );

  /** Backed up as a superuser, and then the worker is the documented role. */
  async function keptBy(sql: string) {
    const { db, folder } = await backedUp({
      sql: `ALTER TABLE customers OWNER TO shop_owner; ALTER TABLE bookings OWNER TO shop_owner;
            DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO shop_owner', current_database()); END $$; ${sql}`,
    });
    const { database } = db.deps.config.services['shop']!.environments['production']!;
    database.url = pg.urlOf(db.name, keeper);
    const drill = () => {
      const input = { ...db.place, backupId: 'b1', into: inScratch(db), fence: null, liveRights: true };
      return runActivity(createRestoreActivities(db.deps).restoreBackup, input);
    };
    return { db, folder, database, drill };
  }

  test.each([
    ['an extension', 'CREATE EXTENSION pageinspect', /permission denied to create extension "pageinspect"/],
    ['another owner', 'CREATE TABLE theirs (); ALTER TABLE theirs OWNER TO stranger', /"stranger"/],
    [
      'an event trigger',
      'CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; ALTER FUNCTION f OWNER TO shop_owner; CREATE EVENT TRIGGER watched ON ddl_command_end EXECUTE FUNCTION f()',
      /permission denied to create event trigger "watched"/,
    ],
    [
      'a publication of all tables',
      'CREATE PUBLICATION everything FOR ALL TABLES',
      /must be superuser to create FOR ALL TABLES publication/,
    ],
    [
      'a grant of somebody who was granted it',
      'GRANT SELECT ON bookings TO shop_guest WITH GRANT OPTION; SET ROLE shop_guest; GRANT SELECT ON bookings TO stranger; RESET ROLE',
      /permission denied to set session authorization/,
    ],
  ])('%s ends the drill as it ends the restore over the live database', async (_, sql, said) => {
    const { db, drill } = await keptBy(sql);
    expect((await failureOf(restore(db, beside(db), fence))).message).toMatch(said);
    const failure = await failureOf(drill());
    expect(failure).toMatchObject({ type: 'RestoreFailed', nonRetryable: true });
    expect(failure.message).toMatch(said);
    expect(failure.message).toMatch(/ as keeper, .* would end here as well/);
    // As a rehearsal restores it.
    await restore(db, inScratch(db));
  });

  test('whoever owns a materialized view reads what it is made of, as on the live server, also the second time', async () => {
    await runSql(
      pg.urlOf('postgres'),
      'CREATE ROLE readers; CREATE ROLE reporting; GRANT readers TO reporting; GRANT reporting TO keeper',
    );
    const { db, drill } = await keptBy(
      `GRANT SELECT ON bookings TO readers; CREATE SCHEMA reports AUTHORIZATION reporting;
       CREATE MATERIALIZED VIEW reports.counted AS SELECT count(*)::int AS n FROM bookings;
       ALTER MATERIALIZED VIEW reports.counted OWNER TO reporting`,
    );
    const counted = 'SELECT n FROM reports.counted';
    await restore(db, beside(db), fence);
    expect(await query(db, beside(db), counted)).toEqual([{ n: 3000 }]);
    for (let drills = 0; drills < 2; drills += 1) {
      expect((await drill()).remarks).toEqual(['with the rights of keeper: the live server was asked']);
      expect(await query(db, inScratch(db), counted)).toEqual([{ n: 3000 }]);
    }
  });

  test('what it may do is asked of the live server, and taken from the backup where that is away', async () => {
    const { db, folder, database, drill } = await keptBy('');
    expect((await drill()).remarks).toEqual(['with the rights of keeper: the live server was asked']);
    // A member that inherits nothing.
    const inherit = (how: string) =>
      runSql(
        pg.urlOf('postgres'),
        `REVOKE shop_owner FROM keeper; ALTER ROLE keeper ${how}; GRANT shop_owner TO keeper`,
      );
    await inherit('NOINHERIT');
    const blind = await failureOf(drill()).finally(() => inherit('INHERIT'));
    expect(blind.message).toMatch(/as a restore over the live database would, .* must be owner of database/);
    await runSql(pg.urlOf('postgres'), 'REVOKE shop_owner FROM keeper');
    try {
      expect((await failureOf(drill())).message).toMatch(/"shop_owner"/);
      const there = database.url;
      database.url = there.replace(/:\d+\//, ':1/');
      expect((await drill()).remarks).toEqual([
        'with the rights of keeper: the live server did not answer, so these are those of the backup',
      ]);
    } finally {
      await runSql(pg.urlOf('postgres'), 'GRANT shop_owner TO keeper');
    }
    database.url = pg.urlOf(db.name);
    expect((await drill()).remarks).toEqual(['as a superuser, which postgres is: the live server was asked']);
    // Of a provider that keeps the superuser for itself, and calls ours as the cluster calls its own.
    editManifest(folder, ({ roles }) =>
      Object.assign(
        roles.find(({ name }) => name === 'postgres')!,
        {
          ...roles.find(({ name }) => name === 'keeper')!,
          name: 'postgres',
        },
      ),
    );
    database.url = pg.urlOf(db.name).replace(/:\d+\//, ':1/');
    expect((await drill()).remarks).toEqual([expect.stringMatching(/^with the rights of postgres: /)]);
    const made = `SELECT rolsuper FROM pg_roles WHERE rolname = 'postgres_without_superuser'`;
    expect(await query(db, inScratch(db), made)).toEqual([{ rolsuper: false }]);
  });
});

test('an extension that the target lacks is named before an hour of restoring', async () => {
  const { db, folder } = await backedUp();
  editManifest(folder, (manifest) => manifest.extensions.push({ name: 'timescaledb', version: '2.1' }));
  const failure = await failureOf(restore(db, inScratch(db)));
  expect(failure.type).toBe('RestoreFailed');
  expect(failure.message).toContain('timescaledb');
});

describe('an attempt that was given up and wakes up again', () => {
  test('is refused also where there is no lease to lose', async () => {
    const { db } = await backedUp();
    await restore(db, inScratch(db), null, 2);
    expect(await failureOf(restore(db, inScratch(db), null, 1))).toMatchObject({
      type: 'StaleFencingToken',
    });
    expect(await query(db, inScratch(db), 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 3000 }]);
  });
});
