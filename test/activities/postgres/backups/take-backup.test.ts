import { execFileSync } from 'node:child_process';
import {
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { readManifest } from '../../../../src/activities/postgres/backups/manifest';
import { flipByte } from '../../../support/damage';
import { wrapTools } from '../../../support/pg-tools';
import { failureOf, runActivity, runSql, startActivity } from '../../../support/postgres';
import { activitiesOf, backUp, fence, folderOf, useBackups } from './take-backup-world';

const { pg, freshBackup } = useBackups();

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
