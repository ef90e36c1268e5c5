import { cpSync, mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { editManifest } from '../../../support/damage';
import { failureOf, runActivity } from '../../../support/postgres';
import { chooseBackup, passedOver } from '../../../../src/workflows/database/choose-backup';
import { chooseDoomed, type Retention } from '../../../../src/activities/postgres/backups/retention';
import type { ListedBackup } from '../../../../src/activities/postgres/backups/backup-store';
import { asSafety, namesIn, storeOf, useStore } from './store-world';

const { store } = useStore();

describe('the retention', () => {
  test('keeps the newest proven ones and as many unproven ones', async () => {
    const { db, prune } = await store(8, ['b1', 'b2', 'b3', 'b4']);
    expect(await prune(true)).toEqual({
      deleted: ['b6', 'b5', 'b2', 'b1'],
      kept: ['b8', 'b7', 'b4', 'b3'],
      held: [],
    });
    expect(namesIn(db)).toHaveLength(8);
    await prune();
    expect(namesIn(db)).toEqual(['b3', 'b4', 'b7', 'b8']);
    expect(await prune()).toEqual({ deleted: [], kept: ['b8', 'b7', 'b4', 'b3'], held: [] });
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
      'a second backup of the same time',
      (folder) =>
        editManifest(join(folder, 'b2'), (m) => {
          const b3 = JSON.parse(readFileSync(join(folder, 'b3/manifest.json'), 'utf8')) as typeof m;
          m.snapshotAt = b3.snapshotAt;
        }),
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

  test('is not applied by a run that another one has taken over from', async () => {
    const { db, act } = await store(4, ['b1', 'b2', 'b3', 'b4']);
    const fence = (token: number) => ({ target: 'shop/production', token });
    const apply = (token: number) =>
      runActivity(act.pruneBackups, { ...db.place, dryRun: false, fence: fence(token) });
    await runActivity(act.pruneBackups, { ...db.place, dryRun: true });
    await runActivity(act.writeCanary, { database: db.ref, fence: fence(7), id: 'newer' });
    expect(await failureOf(apply(6))).toMatchObject({ type: 'StaleFencingToken', nonRetryable: true });
    expect(namesIn(db)).toHaveLength(4);
    expect((await apply(7)).deleted).toEqual(['b2', 'b1']);
  });

  test('removes half-deleted backups and old partial ones, and lets a running one be', async () => {
    const { db, prune } = await store(1, ['b1']);
    // The last one is of an attempt at a backup that another attempt finished.
    const fetching = 'b1.0123456789ab.1.partial';
    for (const name of ['.deleting-b0', 'old.1.partial', 'running.2.partial', 'b1.1.partial', fetching])
      mkdirSync(join(storeOf(db), name));
    const twoDaysAgo = Date.now() / 1_000 - 2 * 86_400;
    utimesSync(join(storeOf(db), 'old.1.partial'), twoDaysAgo, twoDaysAgo);
    await prune();
    // A drill reads the copy off site of what the disk has.
    expect(namesIn(db)).toEqual(['b1', fetching, 'running.2.partial']);
  });

  test('gives back what an open run holds, and goes on, after it was killed while it deleted', async () => {
    const { db, act, prune, running } = await store(5, ['b1', 'b2', 'b3', 'b4', 'b5']);
    running.add('drill-1');
    await runActivity(act.holdBackup, { ...db.place, backupId: 'b1' }, { workflowId: 'drill-1' });
    const path = (name: string) => join(storeOf(db), name);
    renameSync(path('b1'), path('.deleting-b1'));
    // Fetched again since.
    cpSync(path('b2'), path('.deleting-b2'), { recursive: true });
    expect(await prune(true)).toMatchObject({ held: ['b1'] });
    expect(namesIn(db)).toContain('.deleting-b1');
    await prune();
    expect(namesIn(db)).toEqual(['b1', 'b4', 'b5']);
  });
});

describe('a safety backup', () => {
  test('is chosen by its ID only, and what was passed over is named with why', async () => {
    const { db, act, edit } = await store(6, []);
    edit('b6', asSafety);
    rmSync(join(storeOf(db), 'b5/data/toc.dat'));
    writeFileSync(join(storeOf(db), 'b4/manifest.json'), '{}');
    // As earlier releases labelled them: with their name.
    cpSync(join(storeOf(db), 'b3'), join(storeOf(db), 'b3-before'), { recursive: true });
    edit('b3-before', (manifest) => void (manifest.backupId = 'b3-before'));
    const list = await runActivity(act.listBackups, db.place);
    expect(chooseBackup(list, 'latest').backupId).toBe('b3');
    expect(chooseBackup(list, new Date().toISOString()).backupId).toBe('b3');
    const drawn = Array.from({ length: 40 }, () => chooseBackup(list, 'random').backupId);
    expect([...new Set(drawn)].sort()).toEqual(['b1', 'b2', 'b3']);
    expect(chooseBackup(list, 'b6').backupId).toBe('b6');
    expect(chooseBackup(list, 'b3-before').backupId).toBe('b3-before');
    expect(() => chooseBackup(list, 'b5')).toThrow(
      'b5 is not complete: data/toc.dat is missing or has another size.',
    );
    expect(passedOver(list, chooseBackup(list, 'latest'))).toEqual([
      expect.stringMatching(/^b6 is a safety backup of .* UTC, chosen by its ID only$/),
      'b5 is not complete: data/toc.dat is missing or has another size',
      'b4 is not complete: its manifest was changed',
    ]);
    const unusable = list.filter(({ backupId }) => ['b6', 'b4'].includes(backupId));
    expect(() => chooseBackup(unusable, 'latest')).toThrow(/run backUpDatabase\. b6 is a safety backup/);
  });

  test('stays until a person has released it, and counts for nothing', async () => {
    const { db, act, prune, edit } = await store(8, ['b1', 'b5', 'b8']);
    for (const id of ['b2', 'b8']) edit(id, asSafety);
    // Its proof is about the manifest that was.
    await runActivity(act.markBackupProven, { ...db.place, backupId: 'b8' });
    expect((await prune()).deleted).toEqual(['b4', 'b3']);
    expect(
      (await failureOf(runActivity(act.releaseBackup, { ...db.place, backupId: 'b1', by: 'ana' }))).type,
    ).toBe('InvalidInput');
    const release = () => runActivity(act.releaseBackup, { ...db.place, backupId: 'b2', by: 'ana' });
    expect(await release()).toEqual(await release());
    const [released] = (await runActivity(act.listBackups, db.place)).filter(
      ({ backupId }) => backupId === 'b2',
    );
    expect(released).toMatchObject({ purpose: 'safety', releasedAt: (await release()).releasedAt });
    expect((await prune()).deleted).toEqual(['b2']);
    expect(namesIn(db)).toEqual(['b1', 'b5', 'b6', 'b7', 'b8']);
  });
});

describe('periods', () => {
  /** `[daysAgo, proven]`, the newest first, as of a Saturday. */
  const NOW = Date.parse('2026-11-21T12:00:00Z');
  const backups = (days: [number, boolean?][]) =>
    days.map(([daysAgo, proven = false]) => ({
      backupId: `d${daysAgo}`,
      purpose: 'scheduled',
      releasedAt: null,
      snapshotAt: new Date(NOW - daysAgo * 86_400_000).toISOString(),
      provenAt: proven ? '2026-11-20T00:00:00.000Z' : null,
    })) as unknown as ListedBackup[];
  const doomed = (all: ListedBackup[], retention: Partial<Retention>) =>
    chooseDoomed(all, { keep: 1, daily: 0, weekly: 0, monthly: 0, ...retention }, NOW).map(
      ({ backupId }) => backupId,
    );
  const year = Array.from({ length: 365 }, (_, day): [number, boolean] => [day, day % 30 === 3]);
  const kept = (retention: Partial<Retention>) => {
    const gone = new Set(doomed(backups(year), retention));
    return backups(year)
      .map(({ backupId }) => backupId)
      .filter((id) => !gone.has(id));
  };

  test('keep the newest of each day, week and month that has one, a proven one rather', () => {
    expect(kept({ daily: 4 })).toEqual(['d0', 'd1', 'd2', 'd3']);
    // Monday is d5: this week is d0 to d5, and d3 of it is proven.
    expect(kept({ weekly: 3 })).toEqual(['d0', 'd3', 'd6', 'd13']);
    expect(kept({ monthly: 3 })).toEqual(['d0', 'd3', 'd33', 'd63']);
    expect(kept({ keep: 2, daily: 3, weekly: 2, monthly: 2 })).toEqual(['d0', 'd1', 'd2', 'd3', 'd6', 'd33']);
  });

  test('end at the greatest age, but for the newest and the last proven one', () => {
    expect(kept({ keep: 10, monthly: 12, maxAgeDays: 40 })).not.toContain('d63');
    expect(doomed(backups([[50], [60], [70, true], [80, true]]), { keep: 5, maxAgeDays: 40 })).toEqual([
      'd60',
      'd80',
    ]);
    expect(doomed(backups([[50], [60]]), { maxAgeDays: 40 })).toEqual([]);
  });
});

describe('an open run', () => {
  test('keeps what it has chosen from the retention until it has ended', async () => {
    const { db, act, prune, running } = await store(6, ['b1', 'b2', 'b3', 'b4', 'b5', 'b6']);
    running.add('drill-1');
    await runActivity(act.holdBackup, { ...db.place, backupId: 'b2' }, { workflowId: 'drill-1' });
    await runActivity(act.holdBackup, { ...db.place, backupId: 'b3' }, { workflowId: 'drill-0' });
    expect(await prune()).toEqual({
      deleted: ['b4', 'b3', 'b1'],
      kept: ['b6', 'b5', 'b2'],
      held: ['b2'],
    });
    running.clear();
    expect((await prune()).deleted).toEqual(['b2']);
    const late = runActivity(act.holdBackup, { ...db.place, backupId: 'b2' });
    expect((await failureOf(late)).type).toBe('BackupIncomplete');
  });

  test('that is paused, or that nobody can ask about, keeps it as well', async () => {
    const { db, act, prune } = await store(6, ['b1', 'b2', 'b3', 'b4', 'b5', 'b6']);
    const answers: Record<string, () => unknown> = {
      paused: () => ({ status: { name: 'PAUSED' } }),
      away: () => Promise.reject(new Error('no server')),
      forgotten: () => Promise.reject(new WorkflowNotFoundError('no such run', 'forgotten', undefined)),
    };
    const getHandle = (id: string) => ({
      describe: async () => (answers[id] ?? (() => ({ status: { name: 'COMPLETED' } })))(),
    });
    db.deps.client = { workflow: { getHandle } } as unknown as Client;
    const hold = (backupId: string, workflowId: string) =>
      runActivity(act.holdBackup, { ...db.place, backupId }, { workflowId });
    await hold('b1', 'paused');
    await hold('b2', 'away');
    await hold('b4', 'forgotten');
    writeFileSync(join(storeOf(db), 'b3/holds/half-written.json'), '{"workflowId');
    expect(await prune()).toMatchObject({ deleted: ['b4'], held: ['b3', 'b2', 'b1'] });
  });

  test('that chose a backup in the moment of its deletion gets it back', async () => {
    const { db, act, prune, running } = await store(3, ['b1', 'b2', 'b3']);
    running.add('drill-1');
    const whoRuns = db.deps.client!.workflow.getHandle;
    let asked = 0;
    db.deps.client!.workflow.getHandle = ((id: string) => ({
      describe: async () => {
        // The first question is about whoever made it; the drill comes between that and the second.
        if ((asked += 1) === 1)
          await runActivity(act.holdBackup, { ...db.place, backupId: 'b1' }, { workflowId: 'drill-1' });
        return whoRuns(id).describe();
      },
    })) as unknown as typeof whoRuns;
    expect(await prune()).toMatchObject({ deleted: [], held: ['b1'] });
    expect(namesIn(db)).toEqual(['b1', 'b2', 'b3']);
  });
});
