import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { createBackupsActivities } from '../../../../src/activities/postgres/backups/backup-activities';
import { editManifest, flipByte } from '../../../support/damage';
import { failureOf, runActivity, startActivity } from '../../../support/postgres';
import { chooseBackup } from '../../../../src/workflows/database/choose-backup';
import { oneOfEach } from '../../../../src/workflows/database/on-one-host';
import type { BackupListEntry } from '../../../../src/contract/backup';
import { storeOf, useStore } from './store-world';

const { pg, store } = useStore();

describe('the list', () => {
  test('has the newest first, with what is proven, and damaged ones last', async () => {
    const { db, act } = await store(4, ['b2']);
    truncateSync(join(storeOf(db), 'b4/data/toc.dat'), 10);
    const list = await runActivity(act.listBackups, db.place);
    expect(list.map(({ backupId, complete, provenAt }) => [backupId, complete, provenAt !== null])).toEqual([
      ['b3', true, false],
      ['b2', true, true],
      ['b1', true, false],
      ['b4', false, false],
    ]);
    expect(JSON.stringify(list)).not.toContain(db.directory);
  });

  test('has of very many those that a run is about, however old', async () => {
    const { db, act } = await store(1, []);
    editManifest(join(storeOf(db), 'b1'), (m) => void (m.snapshotAt = '2026-01-01T00:00:00.000Z'));
    for (let n = 2; n <= 453; n += 1) {
      const folder = join(storeOf(db), `b${n}`);
      mkdirSync(folder);
      for (const name of ['manifest.json', 'manifest.sha256'])
        cpSync(join(storeOf(db), 'b1', name), join(folder, name));
      editManifest(folder, (manifest) =>
        Object.assign(manifest, {
          backupId: `b${n}`,
          files: [],
          snapshotAt: new Date(Date.parse('2026-01-01') + n * 3_600_000).toISOString(),
        }),
      );
    }
    const chosen = async (about?: string) =>
      (await runActivity(act.listBackups, { ...db.place, ...(about === undefined ? {} : { about }) }))
        .map(({ backupId }) => backupId)
        .slice(450);
    expect(await chosen()).toEqual([]);
    expect(await chosen('b1')).toEqual(['b1']);
    expect(await chosen('2026-01-01T02:30:00Z')).toEqual(['b2']);
    expect(await chosen('b453')).toEqual([]);
    // It tells how far it is, and ends when nobody waits for it any longer.
    const given = startActivity(act.listBackups, db.place);
    given.cancel();
    expect((await failureOf(given.result)).name).toBe('CancelledFailure');
    expect(given.beats[0]).toMatchObject({ phase: 'list the backups', unit: 'backups' });
    // What the retention deletes while they are read is not damaged.
    const listing = runActivity(act.listBackups, db.place);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    for (let n = 200; n <= 210; n += 1) rmSync(join(storeOf(db), `b${n}`), { recursive: true });
    const problems = (await listing).map(({ backupId, problem }) => problem && `${backupId}: ${problem}`);
    // Of the first one the data is not there.
    expect(problems.filter((problem) => problem !== undefined && !problem.startsWith('b1:'))).toEqual([]);
  });

  test('is empty where nothing was backed up yet, and partial backups are not in it', async () => {
    const db = await pg.fresh();
    const { listBackups } = createBackupsActivities(db.deps);
    expect(await runActivity(listBackups, db.place)).toEqual([]);
    mkdirSync(join(storeOf(db), 'b1.partial'), { recursive: true });
    expect(await runActivity(listBackups, db.place)).toEqual([]);
  });

  test('does not take the proof of one backup for that of another', async () => {
    const { db, act } = await store(2, ['b1']);
    cpSync(join(storeOf(db), 'b1/proven.json'), join(storeOf(db), 'b2/proven.json'));
    const list = await runActivity(act.listBackups, db.place);
    expect(list.find(({ backupId }) => backupId === 'b2')?.provenAt).toBeNull();
  });

  test('of a service without backups is an input error', async () => {
    const db = await pg.fresh({ service: { backups: undefined } });
    expect((await failureOf(runActivity(createBackupsActivities(db.deps).listBackups, db.place))).type).toBe(
      'InvalidInput',
    );
  });
});

describe('what several hosts list', () => {
  const entry = (more: Partial<BackupListEntry>) =>
    ({ backupId: 'b1', complete: true, manifestSha256: 'a', provenAt: null, ...more }) as BackupListEntry;

  test('is one entry of each backup: the whole one, proven where it is proven anywhere', () => {
    const damaged = entry({ complete: false, workerHost: 'one' });
    const offsite = entry({ where: ['offsite'], provenAt: '2026-11-20T00:00:00.000Z' });
    const other = entry({ workerHost: 'two', provenAt: '2026-11-19T00:00:00.000Z' });
    for (const found of [
      [damaged, offsite],
      [offsite, damaged],
    ])
      expect(oneOfEach(found)).toEqual([offsite]);
    for (const found of [
      [damaged, offsite, other],
      [other, offsite],
    ])
      expect(oneOfEach(found)).toEqual([{ ...other, provenAt: offsite.provenAt }]);
    const another = entry({ workerHost: 'one', manifestSha256: 'b' });
    expect(oneOfEach([another, offsite])).toEqual([another]);
  });
});

describe('a recovery point', () => {
  const at = (backupId: string, snapshotAt: string) =>
    ({ backupId, snapshotAt, complete: true, purpose: 'scheduled', provenAt: null }) as BackupListEntry;
  const all = [at('b2', '2026-11-21T03:00:00.000Z'), at('b1', '2026-11-20T03:00:00.000Z')];

  test.each([
    ['2026-11-21', 'b1'],
    ['2026-11-21T03:00Z', 'b2'],
    ['2026-11-21T03:30:00.5+01:00', 'b1'],
    ['2026-11-21 03:00:00 UTC', 'b2'],
    // As everything is told.
    ['2026-11-21 03:00', 'b2'],
    ['2026-11-21T02:59:59', 'b1'],
  ])('%s is a time in UTC', (text, backupId) => {
    expect(chooseBackup(all, text).backupId).toBe(backupId);
  });

  test.each(['nightly-2027', 'b-2027-01-01', '2027', 'Jan 2027', '2026-11-31', '2026-13-01T00:00Z'])(
    '%s is neither a backup nor a time, and chooses none',
    (text) => {
      expect(() => chooseBackup(all, text)).toThrow(/no backup for recovery point/);
    },
  );
});

describe('reading every backup', () => {
  test('finds one flipped byte in an old one, which reading the newest does not', async () => {
    const { db, act } = await store(3, []);
    flipByte(join(storeOf(db), 'b1/data/toc.dat'), 40);
    expect(await runActivity(act.verifyBackups, { ...db.place, which: 'newest' })).toMatchObject({
      checked: 1,
      damagedCount: 0,
    });
    expect(await runActivity(act.verifyBackups, { ...db.place, which: 'all' })).toMatchObject({
      checked: 3,
      damagedCount: 1,
      damaged: [{ backupId: 'b1', problem: expect.stringContaining('data/toc.dat has other content') }],
    });
  });

  test('does not take for damage what the retention deletes meanwhile', async () => {
    const { db, act } = await store(3, []);
    const reading = startActivity(act.verifyBackups, { ...db.place, which: 'all' });
    const deleteOldest = () => rmSync(join(storeOf(db), 'b1'), { recursive: true, force: true });
    Object.assign(reading.beats, { push: deleteOldest });
    expect(await reading.result).toMatchObject({ checked: 2, damagedCount: 0, damaged: [] });
  });
});

describe('the upload', () => {
  test('is told where the backup is', async () => {
    const { db, act } = await store(1, [], {
      backups: {
        directory: 'backups',
        upload: {
          run: [
            '/bin/sh',
            '-c',
            'cp "$BACKUP_PATH/manifest.sha256" "./uploaded-$BACKUP_ID" && echo "copied $BACKUP_ID"',
          ],
        },
      },
    });
    expect(await runActivity(act.uploadBackup, { ...db.place, backupId: 'b1' })).toEqual({
      uploaded: true,
      detail: 'copied b1',
    });
    expect(readFileSync(join(db.directory, 'uploaded-b1'), 'utf8')).toMatch(/^[0-9a-f]{64}/);
  });

  test('that is not configured does nothing and says so, and one that fails is a failure', async () => {
    const { db, act } = await store(1, []);
    expect((await runActivity(act.uploadBackup, { ...db.place, backupId: 'b1' })).uploaded).toBe(false);
    db.deps.config.services['shop']!.backups!.upload = {
      run: ['/bin/sh', '-c', 'echo "bucket gone" >&2; exit 4'],
      directory: '.',
      environment: {},
      timeoutSeconds: 10,
    };
    const failure = await failureOf(runActivity(act.uploadBackup, { ...db.place, backupId: 'b1' }));
    expect(failure.type).toBe('CommandFailed');
    expect(failure.message).toContain('bucket gone');
    expect((await failureOf(runActivity(act.uploadBackup, { ...db.place, backupId: 'b9' }))).type).toBe(
      'BackupIncomplete',
    );
    expect(existsSync(join(db.directory, 'uploaded-b9'))).toBe(false);
  });
});
