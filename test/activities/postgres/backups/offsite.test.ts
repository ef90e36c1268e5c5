import { createHash, randomBytes } from 'node:crypto';
import {
  cpSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Client } from '@temporalio/client';
import { createDatabaseActivities } from '../../../../src/activities/database';
import { startS3Server, type S3Server } from '../../../../src/local/s3-server';
import { editManifest, flipByte } from '../../../support/damage';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  until,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';

let pg: TestPostgres;
let s3: S3Server;
let client: S3Client;
let source: TestDatabase;
beforeAll(async () => {
  [pg, s3] = await Promise.all([
    startTestPostgres({ template: `CREATE TABLE t AS SELECT generate_series(1, 10) AS id` }),
    startS3Server(),
  ]);
  const { accessKeyId, secretAccessKey, endpoint } = s3;
  client = new S3Client({
    endpoint,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  source = await pg.fresh();
  await runActivity(createDatabaseActivities(source.deps).backUp, {
    ...source.place,
    backupId: 'origin',
    fence: null,
  });
});
afterAll(async () => {
  client?.destroy();
  await Promise.all([pg?.stop(), s3?.stop()]);
});

const storeOf = (db: TestDatabase) => join(db.directory, 'backups/shop/production');
const place = { service: 'shop', environment: 'production' } as const;
let buckets = 0;

/** A bucket of its own, and a worker's folder with backups `b1` (oldest) to `bN`, a day apart. */
async function world(count: number, { offsite = {}, lock = false, service = {} } = {}) {
  const bucket = `bucket-${(buckets += 1)}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: lock }));
  process.env['TEST_S3_SECRET'] = s3.secretAccessKey;
  const backups = {
    directory: 'backups',
    keep: 1,
    offsite: {
      bucket,
      prefix: 'ours/',
      endpoint: s3.endpoint,
      forcePathStyle: true,
      accessKeyId: s3.accessKeyId,
      secretAccessKey: '${env:TEST_S3_SECRET}',
      ...offsite,
    },
  };
  const running = new Set<string>();
  const worker = async () => {
    const db = await pg.fresh({ service: { backups, ...service } });
    const describe = (id: string) => async () => ({
      status: { name: running.has(id) ? 'RUNNING' : 'COMPLETED' },
    });
    db.deps.client = {
      workflow: { getHandle: (id: string) => ({ describe: describe(id) }) },
    } as unknown as Client;
    return { db, act: createDatabaseActivities(db.deps) };
  };
  const { db, act } = await worker();
  for (let n = 1; n <= count; n += 1) {
    const folder = join(storeOf(db), `b${n}`);
    cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
    editManifest(folder, (manifest) => {
      manifest.backupId = `b${n}`;
      manifest.snapshotAt = new Date(Date.now() - (count - n + 1) * 86_400_000).toISOString();
    });
    await runActivity(act.uploadBackup, { ...place, backupId: `b${n}` });
  }
  const objects = join(s3.directory, bucket, 'ours/shop/production');
  const copies = () =>
    existsSync(objects)
      ? readdirSync(objects)
          .filter((id) => existsSync(join(objects, id, 'manifest.json')))
          .sort()
      : [];
  return { db, act, bucket, objects, copies, running, worker };
}

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

const key = (path: string) => `ours/shop/production/${path}`;
const upload = (w: Awaited<ReturnType<typeof world>>, backupId = 'b1') =>
  runActivity(w.act.uploadBackup, { ...place, backupId });
const fetchElsewhere = async (w: Awaited<ReturnType<typeof world>>, backupId = 'b1') =>
  runActivity((await w.worker()).act.fetchBackup, { ...place, backupId });

/** Gives a backup a file that needs several parts. */
function addLargeFile(folder: string): string {
  const content = randomBytes(20_000_000);
  writeFileSync(join(folder, 'data/large.dat'), content);
  editManifest(folder, (manifest) => {
    const sha256 = createHash('sha256').update(content).digest('hex');
    manifest.files.push({ path: 'data/large.dat', bytes: content.length, sha256 });
    manifest.sizeBytes += content.length;
  });
  return join(folder, 'data/large.dat');
}

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

/** The storage behind a listener that hears of each request before it is answered. */
async function overhear(
  w: Awaited<ReturnType<typeof world>>,
  hear: (path: string, method?: string) => unknown,
) {
  const server = createServer((request, response) => {
    const { method, headers, url = '' } = request;
    void Promise.resolve(hear(decodeURIComponent(url), method)).then(() =>
      request.pipe(
        httpRequest(s3.endpoint, { path: url, method, headers }, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers);
          answer.pipe(response);
        }),
      ),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  w.db.deps.config.services['shop']!.backups!.offsite!.endpoint =
    `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return () => {
    server.closeAllConnections();
    server.close();
  };
}

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

describe('the retention off site', () => {
  const prune = (w: Awaited<ReturnType<typeof world>>) =>
    runActivity(w.act.pruneBackups, { ...place, dryRun: false, fence: null });

  test('follows the same rules, and keeps what an open run has chosen', async () => {
    const w = await world(5);
    for (const id of ['b1', 'b2', 'b4'])
      await runActivity(w.act.markBackupProven, { ...place, backupId: id });
    const other = await w.worker();
    w.running.add('drill-1');
    await runActivity(other.act.holdBackup, { ...place, backupId: 'b2' }, { workflowId: 'drill-1' });
    expect((await prune(w)).offsite).toEqual({
      deleted: ['b3', 'b1'],
      kept: ['b5', 'b4', 'b2'],
      held: ['b2'],
      locked: [],
    });
    expect(w.copies()).toEqual(['b2', 'b4', 'b5']);
    w.running.clear();
    expect((await prune(w)).offsite?.deleted).toEqual(['b2']);
    expect(w.copies()).toEqual(['b4', 'b5']);
    expect(existsSync(join(w.objects, 'b2/data'))).toBe(false);
  });

  test('deletes nothing while a copy lies under the name of another one', async () => {
    const w = await world(3);
    await runActivity(w.act.markBackupProven, { ...place, backupId: 'b1' });
    cpSync(join(w.objects, 'b1'), join(w.objects, 'b1-copy'), { recursive: true });
    expect((await failureOf(prune(w))).message).toMatch(/b1-copy is not complete: it calls itself b1/);
    expect(w.copies()).toEqual(['b1', 'b1-copy', 'b2', 'b3']);
    const list = await runActivity((await w.worker()).act.listBackups, place);
    expect(list.map(({ backupId, complete }) => [backupId, complete])).toEqual([
      ['b3', true],
      ['b2', true],
      ['b1', true],
      ['b1-copy', false],
    ]);
  });

  test('of a run that chooses a copy in the moment of its deletion: it has it, or it fails', async () => {
    const w = await world(3);
    for (const id of ['b1', 'b3']) await runActivity(w.act.markBackupProven, { ...place, backupId: id });
    const other = await w.worker();
    w.running.add('drill-1');
    const stop = await overhear({ ...w, db: other.db }, async (path) => {
      // The copy was seen, and is deleted before the mark is there.
      if (path.includes('b1/holds/')) await prune(w);
    });
    const hold = runActivity(other.act.holdBackup, { ...place, backupId: 'b1' }, { workflowId: 'drill-1' });
    expect((await failureOf(hold)).type).toBe('BackupIncomplete');
    expect(w.copies()).toEqual(['b2', 'b3']);
    stop();
  });

  test('gives back a copy that a run has chosen in the moment of its deletion', async () => {
    const w = await world(3);
    for (const id of ['b1', 'b3']) await runActivity(w.act.markBackupProven, { ...place, backupId: id });
    w.running.add('drill-1');
    let asked = 0;
    const stop = await overhear(w, async (url) => {
      // The first question is before the deletion, the second after its manifest is gone.
      if (!url.includes('prefix=ours/shop/production/b1/holds/') || (asked += 1) !== 2) return;
      expect(w.copies()).toEqual(['b2', 'b3']);
      const Body = JSON.stringify({ workflowId: 'drill-1' });
      await client.send(new PutObjectCommand({ Bucket: w.bucket, Key: key('b1/holds/drill.json'), Body }));
    });
    expect((await prune(w)).offsite).toMatchObject({ deleted: [], held: ['b1'] });
    stop();
    expect(await fetchElsewhere(w)).toMatchObject({ detail: expect.stringContaining('SHA-256') });
  });

  test('deletes nothing beyond the cap, nor beside a copy of the future', async () => {
    const w = await world(3, { service: { maxDestructive: 1 } });
    for (const id of ['b1', 'b2', 'b3'])
      await runActivity(w.act.markBackupProven, { ...place, backupId: id });
    // Nothing lies on its disk.
    const other = { ...w, ...(await w.worker()) };
    expect(await failureOf(prune(other))).toMatchObject({
      type: 'InvalidInput',
      message: expect.stringContaining(
        'delete 2 copies of s3://' + w.bucket + '/ours/shop/production/, more',
      ),
    });
    editManifest(
      join(w.objects, 'b1'),
      (manifest) => void (manifest.snapshotAt = '2999-01-01T00:00:00.000Z'),
    );
    for (const name of ['b1/manifest.json', 'b1/manifest.sha256']) {
      const Body = readFileSync(join(w.objects, name));
      await client.send(new PutObjectCommand({ Bucket: w.bucket, Key: key(name), Body }));
    }
    const failure = await failureOf(prune({ ...w, ...(await w.worker()) }));
    expect(failure.message).toMatch(/b1 is of the future.*Nothing was deleted there/);
    expect(w.copies()).toEqual(['b1', 'b2', 'b3']);
  });

  test('clears away an old copy that was never finished, and no young one', async () => {
    const w = await world(2);
    for (const id of ['b1', 'b2'])
      await client.send(new DeleteObjectCommand({ Bucket: w.bucket, Key: key(`${id}/manifest.json`) }));
    const old = Date.now() / 1_000 - 26 * 3_600;
    for (const name of readdirSync(join(w.objects, 'b1'), { recursive: true, encoding: 'utf8' }))
      utimesSync(join(w.objects, 'b1', name), old, old);
    expect((await prune(w)).offsite).toMatchObject({ deleted: ['b1'] });
    expect(existsSync(join(w.objects, 'b1/data'))).toBe(false);
    expect(existsSync(join(w.objects, 'b2/data/toc.dat'))).toBe(true);
  });

  test('is left to the rules of the bucket where the configuration says so', async () => {
    const w = await world(3, { offsite: { prune: false } });
    for (const id of ['b1', 'b3']) await runActivity(w.act.markBackupProven, { ...place, backupId: id });
    expect(await prune(w)).toEqual({ deleted: ['b1'], kept: ['b3', 'b2'], held: [] });
    expect(w.copies()).toEqual(['b1', 'b2', 'b3']);
  });

  test('leaves what the storage lets nobody delete yet', async () => {
    const w = await world(3, { lock: true, offsite: { objectLockDays: 1 } });
    for (const id of ['b2', 'b3']) await runActivity(w.act.markBackupProven, { ...place, backupId: id });
    expect((await prune(w)).offsite).toMatchObject({ deleted: [], locked: ['b2'] });
    expect(w.copies()).toEqual(['b1', 'b2', 'b3']);
    const { VersionId } = await client.send(
      new HeadObjectCommand({ Bucket: w.bucket, Key: key('b1/globals.sql') }),
    );
    const object = { Bucket: w.bucket, Key: key('b1/globals.sql'), VersionId };
    await expect(client.send(new DeleteObjectCommand(object))).rejects.toThrow(/lock|denied/i);
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
