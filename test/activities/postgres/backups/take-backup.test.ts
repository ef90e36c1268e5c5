import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createBackupsActivities } from '../../../../src/activities/postgres/backups/backup-activities';
import { createVerifyActivities } from '../../../../src/activities/postgres/backups/verify-activities';
import { createCanaryActivities } from '../../../../src/activities/postgres/backups/canary';
import { readManifest } from '../../../../src/activities/postgres/backups/manifest';
import { flipByte } from '../../../support/damage';
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
import type { Fence } from '../../../../src/contract/place';

let pg: TestPostgres;
beforeAll(async () => {
  pg = await startTestPostgres({
    template: `
      CREATE TABLE customers (id bigserial PRIMARY KEY, name text);
      CREATE TABLE bookings (id bigserial PRIMARY KEY, customer_id bigint REFERENCES customers, note text);
      CREATE TABLE "odd name" ("a b" int);
      INSERT INTO customers (name) SELECT 'c' || i FROM generate_series(1, 100) i;
      INSERT INTO bookings (customer_id, note) SELECT 1 + i % 100, md5(i::text) FROM generate_series(1, 5000) i;
      SELECT lo_from_bytea(0, 'x'), lo_from_bytea(0, 'y');`,
  });
});
afterAll(() => pg.stop());

const fence: Fence = { target: 'shop/production', token: 7 };

function activitiesOf(db: TestDatabase) {
  return {
    ...createBackupActivities(db.deps),
    ...createBackupsActivities(db.deps),
    ...createVerifyActivities(db.deps),
    ...createCanaryActivities(db.deps),
  };
}

const folderOf = (db: TestDatabase, id: string) => join(db.directory, 'backups/shop/production', id);

function backUp(db: TestDatabase, backupId = 'b1', given: Fence | null = null) {
  return runActivity(activitiesOf(db).backUp, { ...db.place, backupId, fence: given });
}

async function freshBackup(options: FreshOptions = {}) {
  const db = await pg.fresh(options);
  return { db, summary: await backUp(db), folder: folderOf(db, 'b1') };
}

describe('a backup', () => {
  test('has a manifest with what is in it, and only its owner can read it', async () => {
    const { db, summary, folder } = await freshBackup();
    const { manifest, sha256 } = await readManifest(folder);
    const rows = Object.fromEntries(manifest.tables.map((table) => [table.name, table.rows]));
    expect(rows).toEqual({ customers: 100, bookings: 5000, 'odd name': 0 });
    expect(manifest).toMatchObject({
      database: db.name,
      systemIdentifier: pg.server.systemIdentifier,
      largeObjects: 2,
      foreignKeys: 1,
      globals: { included: true },
      properties: { encoding: 'UTF8', owner: 'postgres' },
    });
    expect(manifest.sequences.map(({ name, lastValue }) => [name, lastValue])).toEqual([
      ['bookings_id_seq', '5000'],
      ['customers_id_seq', '100'],
    ]);
    expect(manifest.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['data/toc.dat', 'globals.sql']),
    );
    expect(summary).toMatchObject({
      backupId: 'b1',
      tables: 3,
      rows: 5100,
      manifestSha256: sha256,
      canary: null,
    });
    expect(Math.abs(Date.parse(summary.snapshotAt) - Date.now())).toBeLessThan(60_000);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(folder, '..'))).toEqual(['b1']);
  });

  test('holds no password', async () => {
    await runSql(pg.urlOf('postgres'), `CREATE ROLE guest LOGIN PASSWORD 'the-guests-password'`);
    const { folder } = await freshBackup();
    const globals = readFileSync(join(folder, 'globals.sql'), 'utf8');
    expect(globals).toContain('CREATE ROLE guest');
    expect(globals).not.toMatch(/PASSWORD|SCRAM/);
    expect(readFileSync(join(folder, 'manifest.json'), 'utf8')).not.toMatch(/SCRAM|the-guests-password/);
  });

  test('counts and dumps one snapshot while others write', async () => {
    const db = await pg.fresh();
    const writer = new Client({ connectionString: db.url });
    await writer.connect();
    let writing = true;
    const writes = (async () => {
      while (writing)
        await writer.query(`INSERT INTO customers (name) SELECT 'late' FROM generate_series(1, 50)`);
    })();
    // pg_dump starts late: whoever counts or dumps without the snapshot sees other rows.
    const postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: 'case "$*" in *--jobs*) sleep 0.7;; esac',
    });
    try {
      db.deps.config.postgresBin = postgresBin;
      await backUp(db);
    } finally {
      writing = false;
      await writes;
      await writer.end();
    }
    const { manifest } = await readManifest(folderOf(db, 'b1'));
    const counted = manifest.tables.find(({ name }) => name === 'customers')?.rows;
    const dumped = execFileSync(
      join(pg.server.binDirectory, 'pg_restore'),
      ['--data-only', '--table=customers', '--file=-', join(folderOf(db, 'b1'), 'data')],
      { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
    );
    expect(dumped.split('\n').filter((line) => /^\d+\t/.test(line))).toHaveLength(counted ?? -1);
    expect(Number((await db.query('SELECT count(*) FROM customers'))[0]?.['count'])).toBeGreaterThan(
      counted ?? Infinity,
    );
  });

  test('leaves the fence out and takes it itself', async () => {
    const db = await pg.fresh();
    await backUp(db, 'b1', fence);
    expect(await db.query('SELECT target, token FROM durable_runbooks.fence')).toEqual([
      { target: fence.target, token: '7' },
    ]);
    const listing = execFileSync(
      join(pg.server.binDirectory, 'pg_restore'),
      ['--list', join(folderOf(db, 'b1'), 'data')],
      {
        encoding: 'utf8',
      },
    );
    expect(listing).toContain('TABLE DATA durable_runbooks canary');
    expect(listing).not.toContain('TABLE DATA durable_runbooks fence');
    const failure = await failureOf(backUp(db, 'b2', { ...fence, token: 6 }));
    expect(failure).toMatchObject({ type: 'StaleFencingToken', nonRetryable: true });
    expect(existsSync(folderOf(db, 'b2'))).toBe(false);
  });

  test('names foreign tables, which it does not contain', async () => {
    const { summary } = await freshBackup({
      sql: `CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '192.0.2.1');
            CREATE FOREIGN TABLE remote_orders (id int) SERVER far;`,
    });
    expect(summary.excludedForeignTables).toEqual(['public.remote_orders']);
    expect(summary.tables).toBe(3);
  });

  test('records the newest canary', async () => {
    const db = await pg.fresh();
    const { writeCanary, backUp: make } = activitiesOf(db);
    await runActivity(writeCanary, { database: db.ref, id: 'first' });
    await runActivity(writeCanary, { database: db.ref, id: 'second' });
    expect((await runActivity(make, { ...db.place, backupId: 'b1', fence: null })).canary).toBe('second');
  });

  test('says how far it is, in bytes and tables', async () => {
    const db = await pg.fresh();
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: 'case "$*" in *--jobs*) trap "sleep 1.3" EXIT;; esac',
    });
    const run = startActivity(activitiesOf(db).backUp, { ...db.place, backupId: 'b1', fence: null });
    await run.result;
    const dump = (run.beats as { phase: string; unit: string; total: number; table?: string }[]).filter(
      ({ phase }) => phase === 'dump',
    );
    expect(dump[0]).toMatchObject({ unit: 'bytes', done: 0 });
    expect(dump[0]!.total).toBeGreaterThan(1_000_000);
    expect(dump.at(-1)?.table).toMatch(/^public\./);
  });
});

describe('rows that a role cannot see', () => {
  const role = { user: 'backup_role', password: 'backup-password' };
  // Large objects have owners and rights of their own, which no role of the server's covers before 17.
  const policy = `ALTER TABLE bookings ENABLE ROW LEVEL SECURITY; SELECT lo_unlink(oid) FROM pg_largeobject_metadata`;
  beforeAll(() =>
    runSql(
      pg.urlOf('postgres'),
      `CREATE ROLE backup_role LOGIN PASSWORD 'backup-password' IN ROLE pg_read_all_data`,
    ),
  );

  test('fail the backup instead of being missing from it', async () => {
    const db = await pg.fresh({ role, sql: policy });
    // The trap: without the defence such a role counts nothing and is told nothing.
    expect(await runSql(db.url, 'SELECT count(*)::int FROM bookings')).toEqual([{ count: 0 }]);
    const failure = await failureOf(backUp(db));
    expect(failure.type).toBe('BackupIncomplete');
    expect(failure.message).toMatch(/row-level security/);
    expect(readdirSync(join(folderOf(db, 'b1'), '..'))).toEqual([]);
  });

  test('are all there for a role with BYPASSRLS, the least privilege for a backup', async () => {
    await runSql(pg.urlOf('postgres'), 'ALTER ROLE backup_role BYPASSRLS');
    const { summary, folder } = await freshBackup({ role, sql: policy });
    expect(summary.rows).toBe(5100);
    // Not readable is another thing than none.
    expect((await readManifest(folder)).manifest.preloadLibraries).toBeNull();
  });
});

describe('a backup that is not what it should be', () => {
  test('of a database without tables is refused', async () => {
    const db = await pg.fresh({ sql: 'DROP TABLE bookings, customers, "odd name"' });
    expect(await failureOf(backUp(db))).toMatchObject({ type: 'BackupIncomplete', nonRetryable: true });
  });

  test('of a database without rows is refused, and its leftovers are gone', async () => {
    const db = await pg.fresh({ sql: 'TRUNCATE bookings, customers' });
    const failure = await failureOf(backUp(db));
    expect(failure.type).toBe('BackupIncomplete');
    expect(failure.message).toContain('not one row');
    expect(readdirSync(join(folderOf(db, 'b1'), '..'))).toEqual([]);
  });

  test('may be empty where the run says so, unless the one before it had rows', async () => {
    const { db } = await freshBackup();
    const { backUp: make } = activitiesOf(db);
    const first = (backupId: string) =>
      runActivity(make, { ...db.place, backupId, fence: null, mayBeEmpty: true });
    await db.query('TRUNCATE bookings, customers');
    expect((await failureOf(first('b2'))).message).toContain('not one row');
    rmSync(folderOf(db, 'b1'), { recursive: true });
    expect(await first('b2')).toMatchObject({ rows: 0 });
  });

  test('much smaller than the one before is refused', async () => {
    const { db } = await freshBackup();
    await db.query('DELETE FROM bookings WHERE id > 10');
    const failure = await failureOf(backUp(db, 'b2'));
    expect(failure.type).toBe('BackupIncomplete');
    expect(failure.message).toMatch(/b1.*minSizeRatio/s);
  });

  test('is compared with the backup before it, and never with a safety backup', async () => {
    const { db } = await freshBackup();
    const { backUp: make, listBackups } = activitiesOf(db);
    await db.query('DELETE FROM bookings WHERE id > 4000');
    // What is left of a database that is being replaced.
    const safety = { ...db.place, backupId: 'b2', fence: null, safety: true };
    await runActivity(make, safety);
    await db.query('DELETE FROM bookings WHERE id > 10');
    expect((await failureOf(backUp(db, 'b3'))).message).toContain('the one before it (b1)');
    expect(
      (await runActivity(listBackups, db.place)).map(({ backupId, purpose }) => [backupId, purpose]),
    ).toEqual([
      ['b2', 'safety'],
      ['b1', 'scheduled'],
    ]);
  });

  test('names the tables that shrank, are empty or gone since the one before', async () => {
    const { db, summary } = await freshBackup({
      service: { backups: { directory: 'backups', minSizeRatio: 0 } },
      sql: 'CREATE TABLE old AS SELECT generate_series(1, 70)',
    });
    expect(summary.shrunk).toBeUndefined();
    await db.query('TRUNCATE bookings; DELETE FROM customers WHERE id > 49; DROP TABLE old');
    const again = await backUp(db, 'b2');
    expect(again).toMatchObject({
      shrunkTables: 3,
      shrunk: [
        'public.bookings is empty (5000 rows before)',
        'public.old is gone (70 rows before)',
        'public.customers has 49 rows (100 rows before)',
      ],
    });
    const [listed] = await runActivity(activitiesOf(db).listBackups, db.place);
    expect(listed).toMatchObject({ backupId: 'b2', shrunkTables: 3 });
    await db.query(`DELETE FROM customers WHERE id > 25; INSERT INTO bookings (note) VALUES ('x')`);
    expect((await backUp(db, 'b3')).shrunk).toBeUndefined();
  });

  test('lacking the data of a table is refused', async () => {
    const db = await pg.fresh();
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: `case "$*" in *--jobs*) exec ${pg.server.binDirectory}/pg_dump --exclude-table-data=bookings "$@";; esac`,
    });
    const failure = await failureOf(backUp(db));
    expect(failure.type).toBe('BackupIncomplete');
    expect(failure.message).toContain('public.bookings');
  });

  test('truncated or with one flipped byte is found by its checksums, though it can be listed', async () => {
    const { db, folder } = await freshBackup();
    const { verifyBackupFiles } = activitiesOf(db);
    expect((await runActivity(verifyBackupFiles, { ...db.place, backupId: 'b1' })).ok).toBe(true);
    const { manifest } = await readManifest(folder);
    const biggest = manifest.files
      .filter(({ path }) => path.endsWith('.gz'))
      .sort((a, b) => b.bytes - a.bytes)[0]!;
    const path = join(folder, biggest.path);

    const restore = flipByte(path, Math.floor(biggest.bytes / 2));
    const flipped = await runActivity(verifyBackupFiles, { ...db.place, backupId: 'b1' });
    expect(flipped.ok).toBe(false);
    expect(flipped.checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['checksums']);
    restore();

    truncateSync(path, biggest.bytes - 100);
    // The trap: a listing accepts it.
    execFileSync(join(pg.server.binDirectory, 'pg_restore'), ['--list', join(folder, 'data')]);
    const truncated = await runActivity(verifyBackupFiles, { ...db.place, backupId: 'b1' });
    expect(truncated.checks.find(({ name }) => name === 'checksums')).toMatchObject({ ok: false });
  });

  test('with a changed manifest is found by the manifest’s own hash', async () => {
    const { db, folder } = await freshBackup();
    const path = join(folder, 'manifest.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"rows": 5000', '"rows": 5'));
    const report = await runActivity(activitiesOf(db).verifyBackupFiles, { ...db.place, backupId: 'b1' });
    expect(report.checks).toEqual([expect.objectContaining({ name: 'manifest', ok: false })]);
    expect(await failureOf(backUp(db))).toMatchObject({ type: 'BackupCorrupt' });
  });
});

describe('when something goes wrong', () => {
  test('a full disk says so and leaves nothing behind', async () => {
    const db = await pg.fresh({
      sql: `INSERT INTO bookings (customer_id, note) SELECT 1, string_agg(md5((i * 1000 + j)::text), '') FROM generate_series(1, 900) i, generate_series(1, 100) j GROUP BY i`,
    });
    const mount = join(db.directory, 'small');
    mkdirSync(mount);
    if (!mountTmpfs(mount)) {
      console.warn('SKIPPED: a full disk cannot be made here (mount of a tmpfs refused)');
      return;
    }
    try {
      db.deps.config.services['shop']!.backups!.directory = mount;
      const failure = await failureOf(backUp(db));
      expect(failure).toMatchObject({ type: 'OutOfDisk', nonRetryable: true });
      expect(failure.message).toMatch(/needs about .* MB in .* are free.*Nothing was begun/s);
      expect(readdirSync(mount)).toEqual([]);

      // What the disk lost only while it was written there.
      execFileSync('mount', ['-o', 'remount,size=64m', mount]);
      db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
        pg_dump: `case "$*" in *--jobs*) head -c 80000000 /dev/zero >${mount}/filler 2>/dev/null;; esac`,
      });
      const filled = await failureOf(backUp(db));
      expect(filled).toMatchObject({ type: 'OutOfDisk', nonRetryable: true });
      expect(filled.message).toMatch(/no space left.*Free disk space/is);
      expect(readdirSync(join(mount, 'shop/production'))).toEqual([]);
    } finally {
      execFileSync('umount', [mount]);
    }
  });

  test('a server that ends idle transactions does not end the snapshot', async () => {
    const db = await pg.fresh();
    await db.query(`ALTER DATABASE ${db.name} SET idle_in_transaction_session_timeout = '300ms'`);
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: 'case "$*" in *--jobs*) sleep 1;; esac',
    });
    expect((await backUp(db)).rows).toBe(5100);
  });

  test('a server newer than the client tools is not dumped', async () => {
    const db = await pg.fresh();
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: 'if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) 14.9"; exit 0; fi',
    });
    expect(await failureOf(backUp(db))).toMatchObject({ type: 'ClientTooOld', nonRetryable: true });
  });

  test('zstd with client tools that do not speak it is refused before anything is dumped', async () => {
    const db = await pg.fresh({ service: { backups: { directory: 'backups', compression: 'zstd:3' } } });
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_dump: 'if [ "$1" = --version ]; then echo "pg_dump (PostgreSQL) 15.9"; exit 0; fi',
    });
    const failure = await failureOf(backUp(db));
    expect(failure).toMatchObject({ type: 'ClientTooOld', nonRetryable: true });
    expect(failure.message).toMatch(/zstd needs 16.*or set a gzip level/);
  });

  test('the wrong database is not dumped', async () => {
    const db = await pg.fresh({ identity: { systemIdentifier: '12345678901' } });
    expect(await failureOf(backUp(db))).toMatchObject({ type: 'WrongDatabase', nonRetryable: true });
    expect(existsSync(folderOf(db, 'b1'))).toBe(false);
  });

  test('a lock that does not come free ends the backup, not the patience of everybody behind it', async () => {
    const db = await pg.fresh({ sql: 'CREATE TABLE parted (id int) PARTITION BY RANGE (id)' });
    const holder = new Client({ connectionString: db.url });
    await holder.connect();
    // Counting needs no lock on a table that has only partitions: pg_dump is the one that waits.
    await holder.query('BEGIN; LOCK TABLE ONLY parted IN ACCESS EXCLUSIVE MODE');
    try {
      const startedAt = Date.now();
      const failure = await failureOf(backUp(db));
      expect(failure).toMatchObject({ type: 'LockTimeout', nonRetryable: false });
      expect(Date.now() - startedAt).toBeLessThan(20_000);
    } finally {
      await holder.end();
    }
  });

  test('cancellation ends pg_dump and its sessions and removes the partial backup', async () => {
    const db = await pg.fresh({ sql: `CREATE VIEW slow AS SELECT 1` });
    const { run, dumping } = await slowBackup(db);
    await dumping();
    run.cancel();
    const failure = await failureOf(run.result);
    expect(failure.name).toBe('CancelledFailure');
    await until(async () => (await sessionsOf(db)).length === 0, 5_000);
    expect(readdirSync(join(folderOf(db, 'b1'), '..'))).toEqual([]);
  });

  test('what a killed attempt left is ended and removed by the next one', async () => {
    const db = await pg.fresh();
    const partial = `${folderOf(db, 'b1')}.1.partial`;
    mkdirSync(join(partial, 'data'), { recursive: true });
    writeFileSync(join(partial, 'data/1.dat.gz'), 'half');
    // The worker is dead; its pg_dump goes on and holds its locks.
    const orphan = new Client({ connectionString: db.url, application_name: 'dr:test-run#7/1' });
    orphan.on('error', () => undefined);
    await orphan.connect();
    await orphan.query('BEGIN; LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE');
    const other = new Client({ connectionString: db.url, application_name: 'dr:test-run#8/1' });
    await other.connect();
    const summary = await runActivity(
      activitiesOf(db).backUp,
      { ...db.place, backupId: 'b1', fence: null },
      { attempt: 2 },
    );
    expect(summary.rows).toBe(5100);
    expect(readdirSync(join(folderOf(db, 'b1'), '..'))).toEqual(['b1']);
    // A parallel activity of the same run is none of its business.
    await other.query('SELECT 1');
    await other.end();
    await orphan.end().catch(() => undefined);
  });

  test.each<[string, Fence | null]>([
    ['without a fence', null],
    ['under the fence', fence],
  ])(
    'an attempt that was given up and wakes up again publishes and removes nothing, %s',
    async (_title, given) => {
      const db = await pg.fresh();
      const { backUp: make } = activitiesOf(db);
      const input = { ...db.place, backupId: 'b1', fence: given };
      const gate = join(db.directory, 'go-on');
      // The first attempt sleeps once its dump is whole, right before it would be published.
      db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
        pg_restore: `case "$*" in *.1.partial*) while [ ! -e ${gate} ]; do sleep 0.05; done;; esac`,
      });
      const first = startActivity(make, input, { attempt: 1 });
      await until(() => existsSync(join(`${folderOf(db, 'b1')}.1.partial`, 'globals.sql')));
      const second = await runActivity(make, input, { attempt: 2 });
      const published = readFileSync(join(folderOf(db, 'b1'), 'manifest.sha256'), 'utf8');
      writeFileSync(gate, '');
      await first.result.catch(() => undefined);
      expect(readdirSync(join(folderOf(db, 'b1'), '..'))).toEqual(['b1']);
      expect(readFileSync(join(folderOf(db, 'b1'), 'manifest.sha256'), 'utf8')).toBe(published);
      expect(published.trim()).toBe(second.manifestSha256);
    },
  );

  test('an attempt that was given up leaves the partial backup of the one after it alone', async () => {
    const db = await pg.fresh();
    const { backUp: make } = activitiesOf(db);
    const later = `${folderOf(db, 'b1')}.2.partial`;
    mkdirSync(later, { recursive: true });
    const failure = await failureOf(
      runActivity(make, { ...db.place, backupId: 'b1', fence: null }, { attempt: 1 }),
    );
    expect(failure.message).toContain('Attempt 1 of b1 was given up');
    expect(readdirSync(join(later, '..'))).toEqual(['b1.2.partial']);
  });

  test('an attempt whose fence was taken meanwhile does not publish', async () => {
    const db = await pg.fresh();
    const taker = `psql -qX "${db.url}" -c "UPDATE durable_runbooks.fence SET holder = 'another', token = 8"`;
    db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
      pg_restore: `${pg.server.binDirectory}/${taker} >/dev/null`,
    });
    const failure = await failureOf(backUp(db, 'b1', fence));
    expect(failure).toMatchObject({ type: 'StaleFencingToken', nonRetryable: true });
    expect(readdirSync(join(folderOf(db, 'b1'), '..'))).toEqual([]);
  });

  test('a backup that is finished is not made again', async () => {
    const { db, summary, folder } = await freshBackup();
    const before = statSync(join(folder, 'manifest.json')).mtimeMs;
    await db.query('DELETE FROM bookings');
    expect(await backUp(db)).toEqual(summary);
    expect(statSync(join(folder, 'manifest.json')).mtimeMs).toBe(before);
  });

  test('the server going down in the middle is worth another try', async () => {
    const db = await pg.fresh();
    const { run, dumping } = await slowBackup(db);
    await dumping();
    await pg.server.restart();
    expect(await failureOf(run.result)).toMatchObject({ type: 'DatabaseUnreachable', nonRetryable: false });
    delete db.deps.config.postgresBin;
    expect((await backUp(db)).rows).toBe(5100);
  });
});

/** A backup whose pg_dump hangs on a table that is locked once the snapshot is out. */
async function slowBackup(db: TestDatabase) {
  const marker = join(db.directory, 'started');
  db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
    pg_dump: `case "$*" in *--jobs*) ${pg.server.binDirectory}/psql -qX "${db.url}" -c "SET application_name = 'dr:test-run#7/1'; SELECT pg_sleep(60)" >/dev/null & touch ${marker}; wait; exit 1;; esac`,
  });
  const run = startActivity(activitiesOf(db).backUp, { ...db.place, backupId: 'b1', fence: null });
  return {
    run,
    dumping: () =>
      until(
        async () =>
          existsSync(marker) && (await sessionsOf(db)).some(({ query }) => query.includes('pg_sleep')),
      ),
  };
}

function sessionsOf(db: TestDatabase) {
  return runSql<{ query: string }>(
    pg.urlOf('postgres'),
    `SELECT query FROM pg_stat_activity WHERE datname = $1 AND application_name LIKE 'dr:%'`,
    [db.name],
  );
}

function mountTmpfs(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
