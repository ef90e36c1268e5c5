import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createCanaryActivities } from '../../../../src/activities/postgres/backups/canary';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { readManifest } from '../../../../src/activities/postgres/backups/manifest';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { createScratchActivities } from '../../../../src/activities/postgres/restore/scratch-activities';
import { clusterUser } from '../../../../src/host/postgres';
import { endpointOf } from '../../../../src/activities/postgres/session/endpoint';
import { editManifest, flipByte } from '../../../support/damage';
import { wrapTools } from '../../../support/pg-tools';
import {
  failureOf,
  runActivity,
  runSql,
  startActivity,
  startTestPostgres,
  until,
  type FreshOptions,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import type { DatabaseRef, Fence } from '../../../../src/contract/place';

const scratch = `restore-test-${process.pid}`;
let fence: Fence = { target: 'shop/production', token: 100 };
beforeEach(() => {
  fence = { ...fence, token: fence.token + 1 };
});
let pg: TestPostgres;
let home: TestDatabase;

beforeAll(async () => {
  pg = await startTestPostgres({
    settings: { wal_level: 'logical' },
    template: `
      CREATE TABLE customers (id bigserial PRIMARY KEY, name text);
      CREATE TABLE bookings (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customers, note text);
      INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
      INSERT INTO bookings (customer_id, note) SELECT 1 + i % 100, md5(i::text) FROM generate_series(1, 3000) i;`,
  });
  home = await pg.fresh();
  const [server] = await runSql<{ major: number }>(
    pg.urlOf('postgres'),
    `SELECT current_setting('server_version_num')::int / 10000 AS major`,
  );
  await runActivity(createScratchActivities(home.deps).openScratch, { scratch, ...home.place, ...server });
});
afterAll(async () => {
  await runActivity(createScratchActivities(home.deps).dropScratch, { scratch });
  await pg.stop();
});

/** Disposable clusters lie where the first database of this file has its own. */
async function backedUp(options: FreshOptions = {}): Promise<{ db: TestDatabase; folder: string }> {
  const db = await pg.fresh({
    ...options,
    service: { restore: { scratchDirectory: join(home.directory, 'scratch') }, ...options.service },
  });
  await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
  return { db, folder: join(db.directory, 'backups/shop/production/b1') };
}

const inScratch = (db: TestDatabase): DatabaseRef => ({
  kind: 'scratch',
  scratch,
  database: db.name,
  of: db.place,
});
const beside = (db: TestDatabase): DatabaseRef => ({ ...db.ref, database: `${db.name}_restored` });

function restore(db: TestDatabase, into: DatabaseRef, given: Fence | null = null, attempt = 1) {
  return runActivity(
    createRestoreActivities(db.deps).restoreBackup,
    { ...db.place, backupId: 'b1', into, fence: given },
    { attempt },
  );
}

const query = <Row extends object>(db: TestDatabase, ref: DatabaseRef, sql: string) =>
  runSql<Row>(endpointOf(db.deps, ref).url, sql);

/** Of the databases in which the attempts of a restore beside the live one work. */
const temporary = (db: TestDatabase): string =>
  `durable_runbooks_new_${createHash('sha256').update(`${db.name}_restored`).digest('hex').slice(0, 16)}`;

async function databases(like: string): Promise<string[]> {
  const rows = await runSql<{ datname: string }>(
    pg.urlOf('postgres'),
    'SELECT datname FROM pg_database WHERE datname LIKE $1 ORDER BY 1',
    [like],
  );
  return rows.map(({ datname }) => datname);
}

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
    const db = await pg.fresh({
      service: { restore: { scratchDirectory: join(home.directory, 'scratch') } },
    });
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

describe('a damaged backup is refused before anything is created', () => {
  test.each(['one flipped byte', 'a truncated data file'])('%s', async (damage) => {
    const { db, folder } = await backedUp();
    const { manifest } = await readManifest(folder);
    const biggest = manifest.files
      .filter(({ path }) => path.endsWith('.gz'))
      .sort((a, b) => b.bytes - a.bytes)[0]!;
    const path = join(folder, biggest.path);
    if (damage.includes('flipped')) flipByte(path, Math.floor(biggest.bytes / 2));
    else truncateSync(path, biggest.bytes - 64);
    const failure = await failureOf(restore(db, beside(db), fence));
    expect(failure).toMatchObject({ type: 'BackupCorrupt', nonRetryable: true });
    expect(failure.message).toContain(biggest.path);
    expect(await databases(`${db.name}%`)).toEqual([db.name]);
  });

  test('a truncated file that was called verified fails the restore, which leaves nothing', async () => {
    const { db, folder } = await backedUp();
    const { manifest } = await readManifest(folder);
    const biggest = manifest.files
      .filter(({ path }) => path.endsWith('.gz'))
      .sort((a, b) => b.bytes - a.bytes)[0]!;
    truncateSync(join(folder, biggest.path), biggest.bytes - 64);
    const input = { ...db.place, backupId: 'b1', into: beside(db), fence, verified: true };
    expect((await failureOf(runActivity(createRestoreActivities(db.deps).restoreBackup, input))).type).toBe(
      'RestoreFailed',
    );
    expect(await databases(`${db.name}%`)).toEqual([db.name]);
  });

  test('a backup that was never finished', async () => {
    const { db } = await backedUp();
    const input = { ...db.place, backupId: 'b9', into: inScratch(db), fence: null };
    mkdirSync(join(db.directory, 'backups/shop/production/b9'));
    expect((await failureOf(runActivity(createRestoreActivities(db.deps).restoreBackup, input))).type).toBe(
      'BackupIncomplete',
    );
  });

  test('an ID that leads out of the folder of the backups', async () => {
    const { db } = await backedUp();
    const input = { ...db.place, backupId: '../../etc', into: inScratch(db), fence: null };
    expect((await failureOf(runActivity(createRestoreActivities(db.deps).restoreBackup, input))).type).toBe(
      'InvalidInput',
    );
  });
});

test('an extension that the target lacks is named before an hour of restoring', async () => {
  const { db, folder } = await backedUp();
  editManifest(folder, (manifest) => manifest.extensions.push({ name: 'timescaledb', version: '2.1' }));
  const failure = await failureOf(restore(db, inScratch(db)));
  expect(failure.type).toBe('RestoreFailed');
  expect(failure.message).toContain('timescaledb');
});

describe('beside the live database', () => {
  test('what no dump brings back is set again', async () => {
    const role = `app_${process.pid}`;
    await runSql(pg.urlOf('postgres'), `CREATE ROLE ${role}`);
    const db = await pg.fresh();
    await db.query(`
      ALTER DATABASE ${db.name} SET search_path = "$user", public, extensions;
      ALTER DATABASE ${db.name} SET statement_timeout = '17s';
      ALTER ROLE ${role} IN DATABASE ${db.name} SET lock_timeout = '3s';
      ALTER DATABASE ${db.name} CONNECTION LIMIT 55;
      REVOKE CONNECT ON DATABASE ${db.name} FROM PUBLIC;
      GRANT CONNECT, TEMPORARY ON DATABASE ${db.name} TO ${role};
      COMMENT ON DATABASE ${db.name} IS 'the shop''s own'`);
    await runActivity(createBackupActivities(db.deps).backUp, { ...db.place, backupId: 'b1', fence: null });
    await restore(db, beside(db), fence);
    const describe = (name: string) =>
      runSql(
        pg.urlOf('postgres'),
        `SELECT datconnlimit AS "limit", pg_get_userbyid(datdba) AS owner,
                (SELECT array_agg(coalesce(setrole::regrole::text, '') || ' ' || array_to_string(setconfig, ';') ORDER BY setrole) FROM pg_db_role_setting WHERE setdatabase = d.oid) AS settings,
                has_database_privilege('${role}', datname, 'CONNECT') AS app, EXISTS (SELECT 1 FROM aclexplode(datacl) a WHERE a.grantee = 0 AND a.privilege_type = 'CONNECT') AS public
           FROM pg_database d WHERE datname = $1`,
        [name],
      );
    const copy = await describe(`${db.name}_restored`);
    expect(copy).toEqual(await describe(db.name));
    expect(copy[0]).toMatchObject({ limit: 55, app: true, public: false });
    // The comment is the mark until the copy is live; the source's is kept in it.
    const [{ text } = { text: '' }] = await runSql<{ text: string }>(
      pg.urlOf('postgres'),
      `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = '${db.name}_restored'`,
    );
    expect(JSON.parse(text)).toMatchObject({ kind: 'restored', comment: "the shop's own" });
  });

  test('the copy is analyzed, and its sequences do not give out again what was given out since', async () => {
    const { db } = await backedUp();
    await db.query(`INSERT INTO bookings (customer_id, note) SELECT 1, 'since' FROM generate_series(1, 50)`);
    await restore(db, beside(db), fence);
    const [next] = await query(
      db,
      beside(db),
      `SELECT nextval('bookings_id_seq')::int AS id, (SELECT reltuples FROM pg_class WHERE relname = 'bookings') AS estimate`,
    );
    expect(next).toEqual({ id: 3051, estimate: 3000 });
    expect(
      await query(db, beside(db), `SELECT 1 FROM pg_stats WHERE tablename = 'bookings' LIMIT 1`),
    ).toHaveLength(1);
  });

  test('the copy has every token of the live database, whatever the backup had', async () => {
    const { db } = await backedUp({
      sql: `CREATE SCHEMA durable_runbooks; CREATE TABLE durable_runbooks.fence (target text PRIMARY KEY, token bigint NOT NULL, attempt int NOT NULL DEFAULT 1, holder text NOT NULL DEFAULT '', taken_at timestamptz NOT NULL DEFAULT now());
            INSERT INTO durable_runbooks.fence (target, token) VALUES ('shop/production', 3), ('other', 11)`,
    });
    await db.query(`UPDATE durable_runbooks.fence SET token = 6 WHERE target = 'shop/production'`);
    await restore(db, beside(db), fence);
    expect(
      await query(db, beside(db), 'SELECT target, token FROM durable_runbooks.fence ORDER BY 1'),
    ).toEqual([
      { target: 'other', token: '11' },
      { target: 'shop/production', token: String(fence.token) },
    ]);
  });

  test('a token that is no longer the newest restores nothing', async () => {
    const { db } = await backedUp();
    await restore(db, beside(db), { ...fence, target: `stale-${db.name}`, token: 9 });
    const again = { ...beside(db), database: `${db.name}_second` } as DatabaseRef;
    const failure = await failureOf(restore(db, again, { ...fence, target: `stale-${db.name}`, token: 8 }));
    expect(failure.type).toBe('StaleFencingToken');
    expect(await databases(`${db.name}_second`)).toEqual([]);
  });

  test('a database without our mark is never replaced, and the live one never named', async () => {
    const { db } = await backedUp();
    await runSql(pg.urlOf('postgres'), `CREATE DATABASE ${db.name}_restored`);
    await runSql(pg.urlOf(`${db.name}_restored`), 'CREATE TABLE precious (id int)');
    expect((await failureOf(restore(db, beside(db), fence))).type).toBe('TargetNotOurs');
    expect(await query(db, beside(db), 'SELECT 1 FROM precious')).toEqual([]);
    for (const database of [db.name, 'postgres', undefined]) {
      expect((await failureOf(restore(db, { ...db.ref, database } as DatabaseRef, fence))).type).toBe(
        'InvalidInput',
      );
    }
  });

  test('the wrong server is refused', async () => {
    const { db } = await backedUp();
    db.deps.config.services['shop']!.environments['production']!.database.identity.systemIdentifier =
      '12345678901';
    expect((await failureOf(restore(db, beside(db), fence))).type).toBe('WrongDatabase');
    expect(await databases(`${db.name}%`)).toEqual([db.name]);
  });

  test('a retry ends what the killed attempt left running and starts over', async () => {
    const { db } = await backedUp();
    // What an attempt leaves that is killed with SIGKILL: a copy, a half of another one, and a session at work.
    await restore(db, beside(db), fence);
    await query(db, beside(db), 'DROP TABLE bookings');
    await runSql(pg.urlOf('postgres'), `CREATE DATABASE ${temporary(db)}_1`);
    const orphan = new Client({
      connectionString: pg.urlOf(`${db.name}_restored`),
      application_name: 'dr:test-run#7/1',
    });
    const ended = new Promise((resolve) => orphan.on('error', resolve));
    await orphan.connect();
    await orphan.query('BEGIN; LOCK TABLE customers');
    await restore(db, beside(db), fence, 2);
    await ended;
    expect(await query(db, beside(db), 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 3000 }]);
    expect(await databases(`${temporary(db)}%`)).toEqual([]);
  });

  describe('an attempt that was given up and wakes up again', () => {
    /** Both attempts stop before that program, until a file lets them go on. */
    async function twoAttempts(program: string, when: string) {
      const { db } = await backedUp();
      const gate = (attempt: number, what: string) => join(db.directory, `${what}-${attempt}`);
      const wait = (attempt: number) =>
        `touch ${gate(attempt, 'there')}; while [ ! -e ${gate(attempt, 'go')} ]; do sleep 0.05; done`;
      db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
        [program]: `case "$* $PGAPPNAME" in *${when}*/1) ${wait(1)};; *${when}*/2) ${wait(2)};; esac`,
      });
      const start = async (attempt: number) => {
        const input = { ...db.place, backupId: 'b1', into: beside(db), fence };
        const { result } = startActivity(createRestoreActivities(db.deps).restoreBackup, input, { attempt });
        await until(() => existsSync(gate(attempt, 'there')));
        return { result, goOn: () => writeFileSync(gate(attempt, 'go'), '') };
      };
      const first = await start(1);
      return { db, first, second: await start(2) };
    }
    const intact = async (db: TestDatabase) => {
      expect(await query(db, beside(db), 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 3000 }]);
      expect(await databases(`${temporary(db)}%`)).toEqual([]);
    };

    test('leaves alone what its successor is loading', async () => {
      const { db, first, second } = await twoAttempts('pg_restore', '--use-list');
      first.goOn();
      await failureOf(first.result);
      second.goOn();
      await second.result;
      await intact(db);
    });

    test('neither publishes nor drops anything once its successor is done', async () => {
      const { db, first, second } = await twoAttempts('vacuumdb', '--analyze-only');
      second.goOn();
      await second.result;
      first.goOn();
      await failureOf(first.result);
      await intact(db);
      // Not even one that had not begun to work on the server when it was given up.
      expect(await failureOf(restore(db, beside(db), fence, 1))).toMatchObject({ type: 'StaleFencingToken' });
      await intact(db);
    });

    test('is refused also where there is no lease to lose', async () => {
      const { db } = await backedUp();
      await restore(db, inScratch(db), null, 2);
      expect(await failureOf(restore(db, inScratch(db), null, 1))).toMatchObject({
        type: 'StaleFencingToken',
      });
      expect(await query(db, inScratch(db), 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 3000 }]);
    });
  });

  test('a crash of the server during ANALYZE is tried again', async () => {
    const { db } = await backedUp();
    const [there, go] = ['there', 'go'].map((name) => join(db.directory, name)) as [string, string];
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      vacuumdb: `touch ${there}; while [ ! -e ${go} ]; do sleep 0.05; done`,
    });
    const input = { ...db.place, backupId: 'b1', into: beside(db), fence };
    const { result } = startActivity(createRestoreActivities(db.deps).restoreBackup, input);
    await until(() => existsSync(there));
    const blocker = new Client({ connectionString: pg.urlOf(`${temporary(db)}_1`) });
    blocker.on('error', () => undefined);
    await blocker.connect();
    await blocker.query('BEGIN; LOCK TABLE bookings');
    writeFileSync(go, '');
    const analyzing = await until(async () => {
      const sql = `SELECT pid FROM pg_stat_activity WHERE query LIKE 'ANALYZE%' AND wait_event_type = 'Lock'`;
      return (await runSql<{ pid: number }>(pg.urlOf('postgres'), sql))[0];
    });
    process.kill(analyzing.pid, 'SIGKILL');
    expect(await failureOf(result)).toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: false });
    await until(() =>
      databases('postgres').then(
        () => true,
        () => false,
      ),
    );
  });

  test('services with different roles share a server', async () => {
    for (const user of ['one', 'two']) {
      await runSql(
        pg.urlOf('postgres'),
        `CREATE ROLE ${user} LOGIN CREATEDB BYPASSRLS PASSWORD '${user}-password'; GRANT CREATE ON DATABASE postgres TO ${user};
         GRANT pg_monitor, pg_signal_backend TO ${user}`,
      );
      const { db } = await backedUp({
        role: { user, password: `${user}-password` },
        sql: `ALTER TABLE customers OWNER TO ${user}; ALTER TABLE bookings OWNER TO ${user};
              DO $$ BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO ${user}', current_database()); END $$`,
      });
      await restore(db, beside(db), { ...fence, target: `shop-of-${user}` });
      expect(await query(db, beside(db), 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 3000 }]);
    }
  });

  (process.getuid?.() === 0 ? test : test.skip)(
    'a disk that is full in the middle of it says so, and leaves production and the disk as they were',
    async () => {
      const disk = join(pg.directory, 'disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', disk]);
      try {
        const user = clusterUser()!;
        chownSync(disk, user.uid, user.gid);
        await runSql(pg.urlOf('postgres'), `CREATE TABLESPACE small LOCATION '${disk}'`);
        const db = await pg.fresh();
        await runSql(pg.urlOf('postgres'), `ALTER DATABASE ${db.name} SET TABLESPACE small`);
        await db.query(
          `CREATE TABLE big AS SELECT i AS id, md5(i::text) AS text FROM generate_series(1, 250000) i`,
        );
        await runActivity(createBackupActivities(db.deps).backUp, {
          ...{ ...db.place, backupId: 'b1', fence: null },
        });
        const before = statfsSync(disk).bfree;
        const failure = await failureOf(restore(db, beside(db), fence));
        expect(failure).toMatchObject({ type: 'OutOfDisk', nonRetryable: true });
        expect(failure.message).toMatch(/restore on shop\/production .*No space left on device/);
        expect(failure.message).toMatch(/Free disk space there/);
        expect(await databases(`${db.name}%`)).toEqual([db.name]);
        expect(await databases(`${temporary(db)}%`)).toEqual([]);
        expect(statfsSync(disk).bfree).toBeGreaterThanOrEqual(before);
        await db.query(`INSERT INTO bookings (customer_id, note) VALUES (1, 'afterwards')`);
        expect(await db.query('SELECT count(*)::int FROM big')).toEqual([{ count: 250_000 }]);
        await runSql(pg.urlOf('postgres'), `DROP DATABASE ${db.name}`);
        await runSql(pg.urlOf('postgres'), 'DROP TABLESPACE small');
      } finally {
        execFileSync('umount', ['--lazy', disk]);
      }
    },
  );

  test.each([
    [
      'sequences public.bookings_id_seq',
      `UPDATE pg_class SET relfilenode = 4000000000 WHERE relname = 'bookings_id_seq'`,
    ],
    ['fencing tokens', `UPDATE pg_class SET relfilenode = 4000000000 WHERE relname = 'fence'`],
    ['fencing tokens', 'ALTER TABLE durable_runbooks.fence RENAME token TO lost'],
  ])(
    '%s that cannot be read of the live database are not carried over, and it says so: %s',
    async (what, damage) => {
      const { db } = await backedUp();
      await runActivity(createCanaryActivities(db.deps).writeCanary, { database: db.ref, id: 'c', fence });
      await db.query(`INSERT INTO customers DEFAULT VALUES; SET allow_system_table_mods = on; ${damage}`);
      const { remarks } = await restore(db, beside(db), fence);
      expect(remarks).toEqual([`the ${what} of the live database cannot be read, and were not carried over`]);
      expect(await query(db, beside(db), 'SELECT target, token FROM durable_runbooks.fence')).toEqual([
        { target: fence.target, token: String(fence.token) },
      ]);
      expect(await query(db, beside(db), 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 3000 }]);
      // The others are.
      expect(await query(db, beside(db), `SELECT nextval('customers_id_seq')::int AS id`)).toEqual([
        { id: 102 },
      ]);
    },
  );

  test('a kill between creating the database and marking it does not block the next attempt', async () => {
    const { db } = await backedUp();
    await runSql(pg.urlOf('postgres'), `CREATE DATABASE ${temporary(db)}_1`);
    await restore(db, beside(db), fence);
    expect(await databases(`${temporary(db)}%`)).toEqual([]);
  });

  test('cancellation ends pg_restore and its sessions and drops the half', async () => {
    const { db } = await backedUp();
    const marker = join(db.directory, 'started');
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_restore: `case "$*" in *--use-list*) touch ${marker}; exec ${pg.server.binDirectory}/psql -qX "${pg.urlOf(`${temporary(db)}_1`)}" -c "SELECT pg_sleep(60)";; esac`,
    });
    const run = startActivity(createRestoreActivities(db.deps).restoreBackup, {
      ...db.place,
      backupId: 'b1',
      into: beside(db),
      fence,
    });
    await until(() => existsSync(marker));
    run.cancel();
    expect((await failureOf(run.result)).name).toBe('CancelledFailure');
    expect(await databases(`${db.name}%`)).toEqual([db.name]);
    expect(await databases(`${temporary(db)}%`)).toEqual([]);
    expect(
      await runSql(
        pg.urlOf('postgres'),
        `SELECT 1 FROM pg_stat_activity WHERE datname LIKE '${temporary(db)}%'`,
      ),
    ).toEqual([]);
  });

  test('only a copy with our mark is dropped', async () => {
    const { db } = await backedUp();
    const { dropRestored } = createRestoreActivities(db.deps);
    await restore(db, beside(db), fence);
    expect(await runActivity(dropRestored, { database: beside(db), fence })).toEqual({ dropped: true });
    expect(await runActivity(dropRestored, { database: beside(db), fence })).toEqual({ dropped: false });
    await runSql(pg.urlOf('postgres'), `CREATE DATABASE ${db.name}_restored`);
    expect((await failureOf(runActivity(dropRestored, { database: beside(db), fence }))).type).toBe(
      'TargetNotOurs',
    );
    expect((await failureOf(runActivity(dropRestored, { database: db.ref, fence }))).type).toBe(
      'InvalidInput',
    );
    expect(await databases(`${db.name}%`)).toEqual([db.name, `${db.name}_restored`]);
  });
});
