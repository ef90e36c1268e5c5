import { execFileSync } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createRestoreActivities } from '../../../../src/activities/postgres/restore/restore-activities';
import { clusterUser } from '../../../../src/host/postgres';
import { wrapTools } from '../../../support/pg-tools';
import {
  failureOf,
  runActivity,
  runSql,
  startActivity,
  until,
  type TestDatabase,
} from '../../../support/postgres';
import { beside, query, restore, temporary, useRestores } from './restore-world';

const { pg, fence, backedUp, databases } = useRestores();

describe('beside the live database', () => {
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
});
