import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createBackupsActivities } from '../../../../src/activities/postgres/backups/backup-activities';
import { editManifest } from '../../../support/damage';
import {
  failureOf,
  runActivity,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';

let pg: TestPostgres;
let source: TestDatabase;
beforeAll(async () => {
  pg = await startTestPostgres({ template: `CREATE TABLE t AS SELECT generate_series(1, 10) AS id` });
  source = await pg.fresh();
  await runActivity(createBackupActivities(source.deps).backUp, {
    ...source.place,
    backupId: 'origin',
    fence: null,
  });
});
afterAll(() => pg.stop());

const storeOf = (db: TestDatabase) => join(db.directory, 'backups/shop/production');

/** Backups `b1` (oldest) to `bN`, a day apart; those named are proven. */
async function store(count: number, proven: string[], service: Record<string, unknown> = {}) {
  const db = await pg.fresh({ service: { backups: { directory: 'backups', keep: 2 }, ...service } });
  mkdirSync(storeOf(db), { recursive: true });
  for (let n = 1; n <= count; n += 1) {
    const folder = join(storeOf(db), `b${n}`);
    cpSync(join(storeOf(source), 'origin'), folder, { recursive: true });
    editManifest(folder, (manifest) => {
      manifest.backupId = `b${n}`;
      manifest.snapshotAt = new Date(Date.now() - (count - n + 1) * 86_400_000).toISOString();
    });
  }
  const act = createBackupsActivities(db.deps);
  for (const backupId of proven) await runActivity(act.markBackupProven, { ...db.place, backupId });
  return { db, act, prune: (dryRun = false) => runActivity(act.pruneBackups, { ...db.place, dryRun }) };
}

const namesIn = (db: TestDatabase) => readdirSync(storeOf(db)).sort();

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

describe('the retention', () => {
  test('keeps the newest proven ones and as many unproven ones', async () => {
    const { db, prune } = await store(8, ['b1', 'b2', 'b3', 'b4']);
    expect(await prune(true)).toEqual({ deleted: ['b2', 'b1', 'b6', 'b5'], kept: ['b8', 'b7', 'b4', 'b3'] });
    expect(namesIn(db)).toHaveLength(8);
    await prune();
    expect(namesIn(db)).toEqual(['b3', 'b4', 'b7', 'b8']);
    expect(await prune()).toEqual({ deleted: [], kept: ['b8', 'b7', 'b4', 'b3'] });
  });

  test('never deletes the last proven one, however old it is', async () => {
    const { db, prune } = await store(9, ['b1']);
    await prune();
    expect(namesIn(db)).toEqual(['b1', 'b8', 'b9']);
  });

  test('deletes nothing while none is proven: each may be the only good one', async () => {
    const { db, prune } = await store(5, []);
    expect((await prune()).deleted).toEqual([]);
    expect(namesIn(db)).toHaveLength(5);
  });

  test.each<[string, (folder: string) => void]>([
    ['something that is no backup', (folder) => writeFileSync(join(folder, 'notes.txt'), 'mine')],
    [
      'a backup whose manifest was changed',
      (folder) => writeFileSync(join(folder, 'b2/manifest.json'), '{}'),
    ],
    ['a backup that lost a file', (folder) => rmSync(join(folder, 'b2/data/toc.dat'))],
    [
      'a backup under another name',
      (folder) => cpSync(join(folder, 'b2'), join(folder, 'renamed'), { recursive: true }),
    ],
    [
      'a backup of the future',
      (folder) => editManifest(join(folder, 'b2'), (m) => void (m.snapshotAt = '2999-01-01T00:00:00.000Z')),
    ],
    [
      'the proof of another backup',
      (folder) => cpSync(join(folder, 'b1/proven.json'), join(folder, 'b3/proven.json')),
    ],
  ])('deletes nothing while there is %s', async (_title, damage) => {
    const { db, prune } = await store(6, ['b1', 'b5', 'b6']);
    damage(storeOf(db));
    const before = namesIn(db);
    const failure = await failureOf(prune());
    expect(failure).toMatchObject({ type: 'BackupCorrupt', nonRetryable: true });
    expect(failure.message).toContain('Nothing was deleted');
    expect(namesIn(db)).toEqual(before);
  });

  test('deletes nothing when more would go than the cap allows', async () => {
    const { db, prune } = await store(6, ['b1', 'b2', 'b3', 'b4', 'b5', 'b6'], { maxDestructive: 3 });
    expect((await failureOf(prune())).type).toBe('InvalidInput');
    expect(namesIn(db)).toHaveLength(6);
  });

  test('removes half-deleted backups and old partial ones, and lets a running one be', async () => {
    const { db, prune } = await store(1, ['b1']);
    for (const name of ['.deleting-b0', 'old.partial', 'running.partial']) mkdirSync(join(storeOf(db), name));
    const twoDaysAgo = Date.now() / 1_000 - 2 * 86_400;
    utimesSync(join(storeOf(db), 'old.partial'), twoDaysAgo, twoDaysAgo);
    await prune();
    expect(namesIn(db)).toEqual(['b1', 'running.partial']);
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
