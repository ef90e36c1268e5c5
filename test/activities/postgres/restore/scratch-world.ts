import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createScratchActivities } from '../../../../src/activities/postgres/restore/scratch-activities';
import {
  scratchFolder,
  SCRATCH_MARK_FILE,
  type ScratchMark,
} from '../../../../src/activities/postgres/session/scratch-files';
import { endpointOf } from '../../../../src/activities/postgres/session/endpoint';
import {
  runActivity,
  runSql,
  startTestPostgres,
  type TestDatabase,
  type TestPostgres,
} from '../../../support/postgres';
import type { DatabaseRef } from '../../../../src/contract/place';
import { standIn } from '../../../support/stand-in';

/** Backups, and disposable clusters for them, which are gone with the last test of a file. */
export function useScratches() {
  let pg: TestPostgres | undefined;
  let made: TestDatabase | undefined;
  const opened: string[] = [];
  const db = standIn(() => made!);
  const act = () => createScratchActivities(db.deps);
  const folderOf = (scratch: string) => join(db.directory, 'scratch', scratchFolder(scratch));
  beforeAll(async () => {
    pg = await startTestPostgres();
    made = await pg.fresh();
  });
  afterAll(async () => {
    for (const scratch of opened) await runActivity(act().dropScratch, { scratch }).catch(() => undefined);
    await pg?.stop();
  });
  return {
    db,
    /** Names of those that are dropped at the end. */
    opened,
    act,
    open: (scratch: string) => {
      opened.push(scratch);
      return runActivity(act().openScratch, { scratch, ...db.place, major: 15 });
    },
    folderOf,
    markOf: (scratch: string) =>
      JSON.parse(readFileSync(join(folderOf(scratch), SCRATCH_MARK_FILE), 'utf8')) as ScratchMark,
    inside: (scratch: string, database = 'postgres'): DatabaseRef => ({
      kind: 'scratch',
      scratch,
      database,
      of: db.place,
    }),
    query: <Row extends object>(ref: DatabaseRef, sql: string) =>
      runSql<Row>(endpointOf(db.deps, ref).url, sql),
    /** A finished backup as far as its manifest goes. */
    writeBackup: (
      backupId: string,
      serverVersionNum: number,
      snapshotAt: string,
      more: object = {},
    ): void => {
      const folder = join(db.directory, 'backups', 'shop', 'production', backupId);
      const manifest = {
        ...db.place,
        backupId,
        serverVersionNum,
        snapshotAt,
        tables: [],
        files: [],
        canary: null,
        ...more,
      };
      const text = JSON.stringify(manifest);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'manifest.json'), text);
      writeFileSync(join(folder, 'manifest.sha256'), createHash('sha256').update(text).digest('hex'));
    },
  };
}
