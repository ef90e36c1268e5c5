import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { LockHeld, startOf, withFileLock } from '../../../../src/host/file-lock';
import { scratchFolder, SCRATCH_MARK_FILE } from '../../../../src/activities/postgres/session/scratch-files';
import { failureOf, runActivity, runSql } from '../../../support/postgres';
import { useScratches } from './scratch-world';

const { db, opened, act, open, folderOf, markOf, inside, query, writeBackup } = useScratches();

test('runs without durability and cannot reach what it was copied from', async () => {
  const info = await open('settings');
  expect(info).toMatchObject({ scratch: 'settings', major: 15, reused: false });
  const rows = await query<{ name: string; setting: string }>(
    inside('settings'),
    `SELECT name, setting FROM pg_settings WHERE name IN
       ('fsync', 'full_page_writes', 'synchronous_commit', 'wal_level', 'max_wal_senders', 'archive_mode', 'max_logical_replication_workers', 'shared_preload_libraries', 'listen_addresses')`,
  );
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
    wal_level: 'minimal',
    max_wal_senders: '0',
    archive_mode: 'off',
    max_logical_replication_workers: '0',
    shared_preload_libraries: '',
    listen_addresses: '127.0.0.1',
  });
  expect(statSync(join(folderOf('settings'), SCRATCH_MARK_FILE)).mode & 0o077).toBe(0);
});

test('a retry on the same host goes on with what it holds, also after the worker died', async () => {
  await open('again');
  await query(inside('again'), 'CREATE DATABASE kept');
  // Another process, as after SIGKILL of the worker: nothing of this one is known to it.
  const mark = markOf('again');
  expect(await open('again')).toMatchObject({ reused: true });
  expect(markOf('again')).toEqual(mark);
  expect(await query(inside('again', 'kept'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('two attempts at once open one cluster', async () => {
  opened.push('both');
  const infos = await Promise.all(
    [1, 2].map((attempt) =>
      runActivity(act().openScratch, { scratch: 'both', ...db.place, major: 15 }, { attempt }),
    ),
  );
  expect(infos.map(({ reused }) => reused).sort()).toEqual([false, true]);
  expect(await query(inside('both'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect(readdirSync(join(db.directory, 'scratch')).filter((name) => name.startsWith('both'))).toEqual([
    'both',
  ]);
});

test('one attempt at a time works there: another waits, and goes on where a dead one was', async () => {
  const path = join(db.directory, 'folder.lock');
  const other = spawn('sleep', ['60']);
  writeFileSync(path, JSON.stringify({ id: 'other', pid: other.pid, startedAt: await startOf(other.pid!) }));
  const take = (waitMs: number) => withFileLock(path, { waitMs }, async () => 'taken');
  await expect(take(200)).rejects.toThrow(LockHeld);
  other.kill('SIGKILL');
  // Several at once, of which each must have it alone.
  let inside = 0;
  const alone = () =>
    withFileLock(path, { waitMs: 10_000 }, async () => {
      inside += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(inside).toBe(1);
      inside -= 1;
    });
  await Promise.all(Array.from({ length: 5 }, alone));
  expect(existsSync(path)).toBe(false);
});

test('one that runs and does not answer at this moment is not replaced', async () => {
  await open('busy');
  await query(inside('busy'), 'CREATE DATABASE kept');
  const sessions = await Promise.all(
    Array.from({ length: 200 }, () => {
      const client = new Client({ connectionString: markOf('busy').url });
      client.on('error', () => undefined);
      return client.connect().then(
        () => client,
        () => undefined,
      );
    }),
  );
  const again = open('busy').catch((error: { nonRetryable?: boolean }) => error);
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const client of sessions) await client?.end();
  expect(await again).toMatchObject({ reused: true });
  expect(await query(inside('busy', 'kept'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('is not opened where it would not fit', async () => {
  writeBackup('huge', 150_000, '2026-11-01T00:00:00.000Z', { databaseBytes: 1e18 });
  const input = { scratch: 'huge', ...db.place, backupId: 'huge', major: 15 };
  const failure = await failureOf(runActivity(act().openScratch, input));
  expect(failure).toMatchObject({ type: 'OutOfDisk', nonRetryable: true });
  expect(failure.message).toMatch(/1200000000000000000 and \d+ bytes/);
  expect(existsSync(folderOf('huge'))).toBe(false);
});

test('is of the version of the backup that it is opened for, and not of the newest one', async () => {
  const version = Number(
    (await db.query<{ num: string }>(`SELECT current_setting('server_version_num') AS num`))[0]!.num,
  );
  const major = Math.floor(version / 10_000);
  writeBackup('before-upgrade', version, '2026-11-01T00:00:00.000Z');
  // The server was upgraded to a version that this host has no programs of.
  writeBackup('after-upgrade', 990_001, '2026-11-20T00:00:00.000Z');
  const openFor = (scratch: string, backupId?: string) => {
    opened.push(scratch);
    const input = { scratch, ...db.place, ...(backupId === undefined ? {} : { backupId }) };
    return runActivity(act().openScratch, input);
  };
  expect(await openFor('for-old', 'before-upgrade')).toMatchObject({ major });
  expect((await failureOf(openFor('for-new', 'after-upgrade'))).message).toMatch(/\b99\b/);
  // As asked by a run that began before it could name the backup.
  expect((await failureOf(openFor('for-any'))).message).toMatch(/\b99\b/);
  expect(await failureOf(openFor('for-none', 'never-taken'))).toMatchObject({ type: 'BackupIncomplete' });
});

test('it outlives the process that opened it', async () => {
  await open('daemon');
  const pid = Number(
    readFileSync(join(folderOf('daemon'), 'cluster/data/postmaster.pid'), 'utf8').split('\n')[0],
  );
  const parent = execFileSync('ps', ['-o', 'ppid=,pgid=', '-p', String(pid)], { encoding: 'utf8' })
    .trim()
    .split(/\s+/)
    .map(Number);
  expect(parent[0]).not.toBe(process.pid);
  expect(parent[1]).not.toBe(
    Number(execFileSync('ps', ['-o', 'pgid=', '-p', String(process.pid)], { encoding: 'utf8' })),
  );
});

test('what an interrupted set-up left is removed and made anew', async () => {
  const folder = folderOf('interrupted');
  mkdirSync(join(folder, 'cluster'), { recursive: true });
  writeFileSync(join(folder, 'cluster', 'half'), 'x');
  writeFileSync(
    join(folder, SCRATCH_MARK_FILE),
    JSON.stringify({
      by: 'durable-runbooks',
      scratch: 'interrupted',
      expiresAt: new Date().toISOString(),
      major: 15,
      url: '',
    }),
  );
  expect((await open('interrupted')).reused).toBe(false);
  expect(existsSync(join(folder, 'cluster', 'half'))).toBe(false);
});

test('a folder without our mark is neither used nor removed', async () => {
  const folder = folderOf('foreign');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'precious'), 'x');
  expect((await failureOf(open('foreign'))).type).toBe('TargetNotOurs');
  expect((await failureOf(runActivity(act().dropScratch, { scratch: 'foreign' }))).type).toBe(
    'TargetNotOurs',
  );
  writeFileSync(
    join(folder, SCRATCH_MARK_FILE),
    JSON.stringify({ by: 'durable-runbooks', scratch: 'another', major: 15, expiresAt: '2000-01-01' }),
  );
  expect((await failureOf(runActivity(act().dropScratch, { scratch: 'foreign' }))).type).toBe(
    'TargetNotOurs',
  );
  expect(existsSync(join(folder, 'precious'))).toBe(true);
  writeFileSync(join(folder, SCRATCH_MARK_FILE), '{}');
});

test('is dropped with everything in it, and dropping it again is fine', async () => {
  await open('dropped');
  const { url } = markOf('dropped');
  expect(await runActivity(act().dropScratch, { scratch: 'dropped' })).toEqual({ dropped: true });
  expect(existsSync(folderOf('dropped'))).toBe(false);
  await expect(runSql(url, 'SELECT 1')).rejects.toThrow();
  expect(await runActivity(act().dropScratch, { scratch: 'dropped' })).toEqual({ dropped: false });
});

test('only those whose time is over are swept', async () => {
  await open('old');
  await open('young');
  const mark = markOf('old');
  writeFileSync(
    join(folderOf('old'), SCRATCH_MARK_FILE),
    JSON.stringify({ ...mark, expiresAt: '2001-01-01T00:00:00Z' }),
  );
  expect(await runActivity(act().sweepScratch, undefined)).toEqual({ dropped: ['old'] });
  expect(existsSync(folderOf('old'))).toBe(false);
  expect(await query(inside('young'), 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('another cluster on its port is not taken for it', async () => {
  await open('moved');
  const mark = markOf('moved');
  writeFileSync(
    join(folderOf('moved'), SCRATCH_MARK_FILE),
    JSON.stringify({ ...mark, systemIdentifier: '12345678901' }),
  );
  const failure = await failureOf(
    runActivity(act().cloneDatabase, { from: inside('moved', 'a'), to: inside('moved', 'b') }),
  );
  expect(failure.type).toBe('WrongDatabase');
  expect(failure.message).toContain('system identifier');
});

describe('a clone', () => {
  test('is a copy of its own, made again on a retry, also while somebody reads the original', async () => {
    await open('clones');
    await query(inside('clones'), 'CREATE DATABASE restored');
    await query(inside('clones', 'restored'), 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS id');
    const reader = query(inside('clones', 'restored'), 'SELECT pg_sleep(30)').catch(() => undefined);
    const pair = { from: inside('clones', 'restored'), to: inside('clones', 'rehearsal') };
    expect((await runActivity(act().cloneDatabase, pair)).sizeBytes).toBeGreaterThan(1_000_000);
    await reader;
    await query(pair.to, 'DELETE FROM t');
    await runActivity(act().cloneDatabase, pair, { attempt: 2 });
    expect(await query(pair.to, 'SELECT count(*)::int FROM t')).toEqual([{ count: 1000 }]);
    expect(await query(pair.from, 'SELECT count(*)::int FROM t')).toEqual([{ count: 1000 }]);
  });

  test('is never made on a server of a service', async () => {
    const from = db.ref;
    expect(
      (await failureOf(runActivity(act().cloneDatabase, { from, to: { ...from, database: 'x' } }))).type,
    ).toBe('InvalidInput');
  });
});

test('a key of any shape gives a folder of its own', () => {
  const keys = ['a/b', 'a-b', 'a b', '../x', '', 'x'.repeat(200), 'x'.repeat(201)];
  const folders = keys.map(scratchFolder);
  expect(new Set(folders).size).toBe(keys.length);
  for (const folder of folders) expect(folder).toMatch(/^[A-Za-z0-9-][A-Za-z0-9._-]*$/);
});
