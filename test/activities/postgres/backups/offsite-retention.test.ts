import { cpSync, existsSync, readFileSync, readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { DeleteObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { editManifest } from '../../../support/damage';
import { failureOf, runActivity } from '../../../support/postgres';
import { key, place, fetchElsewhere, useOffsite, type OffsiteWorld } from './offsite-world';

const { client, world, overhear } = useOffsite();

describe('the retention off site', () => {
  const prune = (w: OffsiteWorld) =>
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
