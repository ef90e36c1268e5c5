import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { createBackupActivities } from '../../../../src/activities/postgres/backups/take-backup';
import { createDatabaseActivities } from '../../../../src/activities/database';
import { editManifest } from '../../../support/damage';
import { runActivity, startTestPostgres, type TestDatabase } from '../../../support/postgres';
import type { Fence } from '../../../../src/contract/place';
import type { BackupPurpose } from '../../../../src/contract/backup';
import { duringTests } from '../../../support/stand-in';

export const storeOf = (db: TestDatabase) => join(db.directory, 'backups/shop/production');

export const namesIn = (db: TestDatabase) => readdirSync(storeOf(db)).sort();

export const asSafety = (manifest: { purpose?: BackupPurpose }) => void (manifest.purpose = 'safety');

/** Copies of a backup that was really taken. */
export function useStore() {
  const pg = duringTests(() =>
    startTestPostgres({ template: `CREATE TABLE t AS SELECT generate_series(1, 10) AS id` }),
  );
  let source: TestDatabase;
  beforeAll(async () => {
    source = await pg.fresh();
    await runActivity(createBackupActivities(source.deps).backUp, {
      ...source.place,
      backupId: 'origin',
      fence: null,
    });
  });
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
    // A run that has ended holds nothing; the one that made these backups has.
    const running = new Set<string>();
    const describe = (id: string) => async () => ({
      status: { name: running.has(id) ? 'RUNNING' : 'COMPLETED' },
    });
    db.deps.client = {
      workflow: { getHandle: (id: string) => ({ describe: describe(id) }) },
    } as unknown as Client;
    const act = createDatabaseActivities(db.deps);
    for (const backupId of proven) await runActivity(act.markBackupProven, { ...db.place, backupId });
    const fence = null as Fence | null;
    return {
      db,
      act,
      running,
      prune: (dryRun = false) =>
        runActivity(act.pruneBackups, dryRun ? { ...db.place, dryRun } : { ...db.place, dryRun, fence }),
      edit: (backupId: string, edit: Parameters<typeof editManifest>[1]) =>
        editManifest(join(storeOf(db), backupId), edit),
    };
  }
  return { pg, store };
}
