import { mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createCanaryActivities } from '../../../../src/activities/postgres/backups/canary';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { readManifest } from '../../../../src/activities/postgres/backups/manifest';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { flipByte } from '../../../support/damage';
import { failureOf, runActivity, runSql } from '../../../support/postgres';
import type { DatabaseRef } from '../../../../src/contract/place';
import { beside, inScratch, query, restore, useRestores } from './restore-world';

const { pg, fence, backedUp, databases } = useRestores();

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
