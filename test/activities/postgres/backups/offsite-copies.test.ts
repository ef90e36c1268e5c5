import { cpSync, existsSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { createDatabaseActivities } from '../../../../src/activities/database';
import { editManifest, flipByte } from '../../../support/damage';
import { failureOf, runActivity, until } from '../../../support/postgres';
import { storeOf } from './store-world';
import { addLargeFile, key, place, upload, fetchElsewhere, useOffsite } from './offsite-world';

const { client, source, world, overhear } = useOffsite();

describe('a copy off site', () => {
  test('is listed, fetched and restored by a worker that has never seen it', async () => {
    const { worker, db } = await world(2);
    const other = await worker();
    expect(
      (await runActivity(other.act.listBackups, place)).map(({ backupId, where }) => [backupId, where]),
    ).toEqual([
      ['b2', ['offsite']],
      ['b1', ['offsite']],
    ]);
    expect((await runActivity(createDatabaseActivities(db.deps).listBackups, place))[0]?.where).toEqual([
      'disk',
      'offsite',
    ]);
    await runActivity(other.act.holdBackup, { ...place, backupId: 'b1' });
    const fetched = await runActivity(other.act.fetchBackup, { ...place, backupId: 'b1' });
    expect(fetched.detail).toMatch(/files, .* each with the SHA-256 of the manifest$/);
    expect((await runActivity(other.act.verifyBackupFiles, { ...place, backupId: 'b1' })).ok).toBe(true);
    // Again: the disk has it, and every byte is read back nevertheless.
    expect((await runActivity(other.act.fetchBackup, { ...place, backupId: 'b1' })).detail).toContain(
      'the disk has the same',
    );
    expect(readdirSync(storeOf(other.db))).toEqual(['b1']);
    await runActivity(other.act.markBackupProven, { ...place, backupId: 'b1' });
    const third = await worker();
    expect(
      (await runActivity(third.act.listBackups, place)).map(({ provenAt }) => provenAt !== null),
    ).toEqual([false, true]);
    // It was proven by another worker than the one whose disk it lies on as well.
    const [, first] = await runActivity(createDatabaseActivities(db.deps).listBackups, place);
    expect(first).toMatchObject({ backupId: 'b1', where: ['disk', 'offsite'], provenAt: expect.any(String) });
  });
});

describe('copying', () => {
  test('sends a large file in parts, and what an interrupted copy sent is not sent again', async () => {
    const w = await world(0);
    const folder = join(storeOf(w.db), 'b1');
    cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
    editManifest(folder, (manifest) => void (manifest.backupId = 'b1'));
    addLargeFile(folder);
    await upload(w);
    const large = { Bucket: w.bucket, Key: key('b1/data/large.dat') };
    expect((await client.send(new HeadObjectCommand(large))).ETag).toMatch(/-3"$/);
    expect((await fetchElsewhere(w)).sizeBytes).toBeGreaterThan(20_000_000);
    for (const path of ['b1/manifest.json', 'b1/globals.sql'])
      await client.send(new DeleteObjectCommand({ Bucket: w.bucket, Key: key(path) }));
    // Without its manifest it is no backup.
    expect(await runActivity((await w.worker()).act.listBackups, place)).toEqual([]);
    expect((await upload(w)).detail).toMatch(/^1 file copied to s3:.*, \d+ were there$/);
    expect((await upload(w)).detail).toMatch(/^0 files copied/);
    expect(w.copies()).toEqual(['b1']);
  });

  test('of a file that the disk has damaged is refused, in one part or in many', async () => {
    const w = await world(0);
    for (const large of [true, false]) {
      const id = large ? 'b1' : 'b2';
      const folder = join(storeOf(w.db), id);
      cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
      editManifest(folder, (manifest) => void (manifest.backupId = id));
      flipByte(large ? addLargeFile(folder) : join(folder, 'data/toc.dat'), 1_000);
      expect((await failureOf(upload(w, id))).type).toBe('BackupCorrupt');
    }
    expect(w.copies()).toEqual([]);
  });

  test('of a large file that is another one at its end makes no object, not even for a moment', async () => {
    const w = await world(0);
    const folder = join(storeOf(w.db), 'b1');
    cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
    editManifest(folder, (manifest) => void (manifest.backupId = 'b1'));
    flipByte(addLargeFile(folder), 19_999_999);
    const heard: string[] = [];
    const deaf = await overhear(w, (path, method) => {
      const what = /[?&](uploads|partNumber|uploadId)/.exec(path)?.[1] ?? 'object';
      if (path.includes('large.dat')) heard.push(`${method} ${what}`);
    });
    expect((await failureOf(upload(w)).finally(deaf)).type).toBe('BackupCorrupt');
    expect(heard).toContain('PUT partNumber');
    expect(heard).toContain('DELETE uploadId');
    expect(heard.filter((one) => /^POST uploadId|^(PUT|DELETE) object/.test(one))).toEqual([]);
  });

  test('sends anew what lies there in the same size and is other content', async () => {
    const w = await world(1);
    const there = { Bucket: w.bucket, Key: key('b1/globals.sql') };
    const { ContentLength = 0 } = await client.send(new HeadObjectCommand(there));
    const Metadata = { sha256: 'of something else' };
    await client.send(new PutObjectCommand({ ...there, Metadata, Body: 'x'.repeat(ContentLength) }));
    await client.send(new DeleteObjectCommand({ Bucket: w.bucket, Key: key('b1/manifest.json') }));
    expect((await upload(w)).detail).toMatch(/^1 file copied/);
    expect((await fetchElsewhere(w)).detail).toContain('SHA-256');
  });

  test('never replaces another backup under the same ID', async () => {
    const w = await world(1);
    editManifest(join(storeOf(w.db), 'b1'), (manifest) => void (manifest.lsn = '0/1'));
    expect(await failureOf(upload(w))).toMatchObject({ type: 'BackupCorrupt', nonRetryable: true });
    const [listed] = await runActivity(w.act.listBackups, place);
    expect(listed?.where).toEqual(['disk']);
    expect((await failureOf(runActivity(w.act.fetchBackup, { ...place, backupId: 'b1' }))).message).toContain(
      'Nothing was replaced',
    );
  });

  test('says what is wrong with the storage, without its secret', async () => {
    const wrong = await world(0, { offsite: { secretAccessKey: 'quite-another-secret' } });
    const failure = await failureOf(runActivity(wrong.act.listBackups, place));
    expect(failure).toMatchObject({ type: 'OffsiteFailed', nonRetryable: true });
    expect(failure.message).toMatch(/Could not list s3:.*secretAccessKey/);
    expect(failure.message).not.toContain('quite-another-secret');
    const away = await world(0);
    away.db.deps.config.services['shop']!.backups!.offsite!.endpoint = 'http://127.0.0.1:9';
    expect(await failureOf(runActivity(away.act.listBackups, place))).toMatchObject({
      type: 'OffsiteFailed',
      nonRetryable: false,
    });
    // The backups on the disk can be had without it.
    expect(await runActivity(away.act.listBackups, { ...place, only: 'disk' })).toEqual([]);
  });
});

test('a copy that the disk has no room for is not begun to be fetched', async () => {
  const w = await world(0);
  const folder = join(storeOf(w.db), 'b1');
  cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
  editManifest(folder, (manifest) => Object.assign(manifest, { backupId: 'b1', sizeBytes: 1e15 }));
  await upload(w);
  const other = await w.worker();
  const failure = await failureOf(runActivity(other.act.fetchBackup, { ...place, backupId: 'b1' }));
  expect(failure).toMatchObject({ type: 'OutOfDisk', nonRetryable: true });
  expect(failure.message).toContain('Backup b1 needs about');
  expect(readdirSync(storeOf(other.db))).toEqual([]);
});

describe('a backup on the disk', () => {
  test('that is damaged is mended by fetching it, with what is known of it', async () => {
    const w = await world(1);
    const local = join(storeOf(w.db), 'b1');
    await runActivity(w.act.markBackupProven, { ...place, backupId: 'b1' });
    const data = join(local, 'data/toc.dat');
    for (const damage of [() => flipByte(data, 40), () => truncateSync(data, 10), () => rmSync(data)]) {
      damage();
      const { detail } = await runActivity(w.act.fetchBackup, { ...place, backupId: 'b1' });
      expect(detail).toMatch(
        /; 1 file of it on the disk was damaged, and is replaced: find out what the disk did$/,
      );
      expect((await runActivity(w.act.verifyBackupFiles, { ...place, backupId: 'b1' })).ok).toBe(true);
    }
    expect(readdirSync(storeOf(w.db))).toEqual(['b1']);
    expect(readdirSync(local)).toContain('proven.json');
    rmSync(join(local, 'manifest.json'));
    const failure = await failureOf(runActivity(w.act.fetchBackup, { ...place, backupId: 'b1' }));
    expect(failure.message).toMatch(/has no readable manifest.*copy off site is whole.*Move .*b1 away/);
  });

  test('is not made of what another attempt has left of a fetch', async () => {
    const w = await world(1);
    const store = storeOf(w.db);
    rmSync(join(store, 'b1'), { recursive: true });
    let removed = false;
    const stop = await overhear(w, async (path) => {
      if (removed || !path.includes('b1/globals.sql')) return;
      removed = true;
      const partial = () => readdirSync(store).map((name) => join(store, name, 'data/toc.dat'))[0];
      await until(() => partial() !== undefined && existsSync(partial()!));
      rmSync(partial()!);
    });
    const failure = await failureOf(runActivity(w.act.fetchBackup, { ...place, backupId: 'b1' }));
    expect(failure).toMatchObject({ type: 'BackupIncomplete', nonRetryable: false });
    expect(removed).toBe(true);
    expect(readdirSync(store)).toEqual([]);
    stop();
  });
});

describe('a damaged copy', () => {
  test('hides no other one', async () => {
    const w = await world(3);
    await runActivity(w.act.markBackupProven, { ...place, backupId: 'b2' });
    await client.send(new DeleteObjectCommand({ Bucket: w.bucket, Key: key('b1/manifest.sha256') }));
    await client.send(new PutObjectCommand({ Bucket: w.bucket, Key: key('b2/proven.json'), Body: 'no' }));
    const list = await runActivity((await w.worker()).act.listBackups, place);
    expect(list.map(({ backupId, complete, problem }) => [backupId, complete, problem])).toEqual([
      ['b3', true, undefined],
      ['b2', true, undefined],
      ['b1', false, expect.stringMatching(/Could not read s3:.*manifest\.sha256: NoSuchKey/)],
    ]);
    expect((await failureOf(runActivity(w.act.pruneBackups, { ...place, dryRun: true }))).message).toContain(
      'b1 is not complete',
    );
  });

  test('is found by reading it back, and is not fetched', async () => {
    const w = await world(1);
    flipByte(join(w.objects, 'b1/data/toc.dat'), 40);
    expect((await runActivity(w.act.verifyOffsite, { ...place, read: false })).damagedCount).toBe(0);
    expect(await runActivity(w.act.verifyOffsite, { ...place, read: true })).toMatchObject({
      configured: true,
      checked: 1,
      damagedCount: 1,
      damaged: [{ backupId: 'b1', problem: expect.stringContaining('data/toc.dat') }],
    });
    const other = await w.worker();
    expect((await failureOf(runActivity(other.act.fetchBackup, { ...place, backupId: 'b1' }))).type).toBe(
      'BackupCorrupt',
    );
    expect(readdirSync(storeOf(other.db))).toEqual([]);
  });

  test('that lost an object, or whose manifest was changed, is listed as such', async () => {
    const w = await world(2);
    await client.send(new DeleteObjectCommand({ Bucket: w.bucket, Key: key('b2/globals.sql') }));
    await client.send(new PutObjectCommand({ Bucket: w.bucket, Key: key('b1/manifest.json'), Body: '{}' }));
    const list = await runActivity((await w.worker()).act.listBackups, place);
    expect(list.map(({ backupId, complete, problem }) => [backupId, complete, problem])).toEqual([
      ['b2', false, 'globals.sql is missing or has another size'],
      ['b1', false, 'its manifest was changed'],
    ]);
    const report = await runActivity(w.act.verifyOffsite, { ...place, read: false });
    expect(report).toMatchObject({ newestSnapshotAt: null, damagedCount: 2 });
    const failure = await failureOf(runActivity(w.act.pruneBackups, { ...place, dryRun: true }));
    expect(failure.message).toMatch(/ambiguous: b2 is not complete.*Nothing was deleted there/);
  });

  test('whose manifest leads out of its folder writes nothing', async () => {
    const w = await world(1);
    editManifest(join(w.objects, 'b1'), (manifest) => void (manifest.files[0]!.path = '../../../evil'));
    expect((await failureOf(fetchElsewhere(w))).message).toContain('outside of the backup');
  });
});

test('what a command copied off site comes back with another one, and is read before it counts', async () => {
  const shell = (script: string) => ({ run: ['/bin/sh', '-c', script] });
  const backups = {
    directory: 'backups',
    upload: shell('mkdir -p far && cp -r "$BACKUP_PATH" far/'),
    fetch: shell('cp -r "far/$BACKUP_ID/." "$BACKUP_PATH"'),
  };
  const w = await world(1, { service: { backups } });
  const local = join(storeOf(w.db), 'b1');
  rmSync(local, { recursive: true });
  expect((await runActivity(w.act.fetchBackup, { ...place, backupId: 'b1' })).detail).toContain('SHA-256');
  expect((await runActivity(w.act.verifyBackupFiles, { ...place, backupId: 'b1' })).ok).toBe(true);
  cpSync(join(w.db.directory, 'far/b1'), join(w.db.directory, 'far/b9'), { recursive: true });
  expect((await failureOf(runActivity(w.act.fetchBackup, { ...place, backupId: 'b9' }))).message).toContain(
    'brought b1 instead of b9',
  );
  rmSync(local, { recursive: true });
  flipByte(join(w.db.directory, 'far/b1/data/toc.dat'), 40);
  expect((await failureOf(runActivity(w.act.fetchBackup, { ...place, backupId: 'b1' }))).type).toBe(
    'BackupCorrupt',
  );
  expect(readdirSync(storeOf(w.db))).toEqual([]);
});
