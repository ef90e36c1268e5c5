import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { wrapTools } from '../../../support/pg-tools';
import {
  failureOf,
  runActivity,
  runSql,
  startActivity,
  until,
  type TestDatabase,
} from '../../../support/postgres';
import type { Fence } from '../../../../src/contract/place';
import { activitiesOf, backUp, fence, folderOf, useBackups } from './take-backup-world';

const { pg, freshBackup } = useBackups();

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

  test.each([{ safety: false }, { safety: true }])(
    'a snapshot that ended with its session is worth another try, %j',
    async ({ safety }) => {
      const db = await pg.fresh();
      // The oldest session holds the snapshot. A server that comes back at once answers those that ask for it: there is none.
      const end = `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'dr:%' ORDER BY backend_start LIMIT 1`;
      db.deps.config.postgresBin = wrapTools(pg.directory, pg.server.binDirectory, {
        pg_dump: `case "$*" in *--jobs*) ${pg.server.binDirectory}/psql -qX "${db.url}" -c "${end}" >/dev/null;; esac`,
      });
      const { backUp: make } = activitiesOf(db);
      const input = { ...db.place, backupId: 'b1', fence: null, safety };
      expect(await failureOf(runActivity(make, input))).toMatchObject({
        type: 'DatabaseUnreachable',
        nonRetryable: false,
      });
      delete db.deps.config.postgresBin;
      expect((await runActivity(make, input, { attempt: 2 })).rows).toBe(5100);
    },
  );
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
