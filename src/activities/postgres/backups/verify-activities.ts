import { join } from 'node:path';
import type { OnHost } from '../../../contract/hosts';
import type { ActivityDeps } from '../../support/deps';
import { withProgress } from '../../support/heartbeat';
import { isGone, readStore, type ListedBackup } from './backup-store';
import { listDumpContents } from './completeness';
import { backupFolder, backupsFolder, DATA_FOLDER, readManifest, type Manifest } from './manifest';
import { damagedFiles, describeDamaged } from './verify-files';
import { openTools } from '../session/tools';
import type { Check, Place } from '../../../contract/place';
import type { BackupRef, ValidationReport, VerifiedBackups } from '../../../contract/backup';

const MAX_DAMAGED = 20;

/** Reading what backups hold, byte by byte. */
export function createVerifyActivities(deps: ActivityDeps) {
  return {
    /**
     * Reads every file of a backup: checksums, table of contents, the manifest's own hash. What fails is reported, not
     * thrown. Reads only. It finds every damaged byte; that the dump restores is proven by a restore alone.
     */
    async verifyBackupFiles({ service, environment, backupId }: BackupRef): Promise<ValidationReport> {
      return verify(deps, backupFolder(deps, service, environment, backupId));
    },

    /**
     * The same for every backup of an environment, or for the newest that a restore would begin with. Hours for many large
     * ones. Reads only.
     */
    async verifyBackups({
      service,
      environment,
      which,
    }: Place & Partial<OnHost> & { which: 'all' | 'newest' }): Promise<VerifiedBackups> {
      const { backups } = await readStore(backupsFolder(deps, service, environment));
      const wanted =
        which === 'all'
          ? backups
          : backups.filter((one) => one.complete && one.purpose === 'scheduled').slice(0, 1);
      const total = wanted.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      const first = { phase: 'verify the backups', done: 0, total, unit: 'bytes' } as const;
      const { read, damaged } = await withProgress(first, () => findDamaged(deps, wanted));
      return {
        checked: read.length,
        sizeBytes: read.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        damagedCount: damaged.length,
        damaged: damaged.slice(0, MAX_DAMAGED),
      };
    },
  };
}

/** What the retention deletes meanwhile is neither read nor damaged. */
async function findDamaged(deps: ActivityDeps, backups: ListedBackup[]) {
  const damaged: VerifiedBackups['damaged'] = [];
  const read: ListedBackup[] = [];
  for (const backup of backups) {
    const { folder, backupId } = backup;
    const seen = await verify(deps, folder).catch(async (error: unknown) => {
      if (await isGone(folder)) return undefined;
      throw error;
    });
    const failed = seen?.checks.filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`);
    if (failed === undefined || (failed.length > 0 && (await isGone(folder)))) continue;
    read.push(backup);
    if (failed.length > 0) damaged.push({ backupId, problem: failed.join('; ').slice(0, 500) });
  }
  return { read, damaged };
}

async function verify(deps: ActivityDeps, folder: string): Promise<ValidationReport> {
  const startedAt = Date.now();
  const checks: Check[] = [];
  let manifest: Manifest | undefined;
  try {
    ({ manifest } = await readManifest(folder));
    checks.push({ name: 'manifest', ok: true, detail: `of ${manifest.snapshotAt}` });
  } catch (error) {
    checks.push({ name: 'manifest', ok: false, detail: (error as Error).message });
  }
  if (manifest !== undefined)
    checks.push(await checkFiles(folder, manifest), await checkListing(deps, folder, manifest));
  const rows = manifest?.tables.reduce((sum, table) => sum + table.rows, 0) ?? 0;
  return {
    ok: checks.every(({ ok }) => ok),
    checks,
    durationMs: Date.now() - startedAt,
    tables: manifest?.tables.length ?? 0,
    rows,
  };
}

async function checkFiles(folder: string, manifest: Manifest): Promise<Check> {
  const damaged = (await damagedFiles(folder, manifest)).map(describeDamaged);
  return {
    name: 'checksums',
    ok: damaged.length === 0,
    detail:
      damaged.length === 0
        ? `${manifest.files.length} files, ${manifest.sizeBytes} bytes`
        : damaged.slice(0, 10).join('; '),
  };
}

async function checkListing(deps: ActivityDeps, folder: string, manifest: Manifest): Promise<Check> {
  const name = 'table of contents';
  try {
    const { entries } = await listDumpContents(await openTools(deps), join(folder, DATA_FOLDER));
    return {
      name,
      ok: entries === manifest.tocEntries,
      detail: `${entries} of ${manifest.tocEntries} entries`,
    };
  } catch (error) {
    if ((error as { type?: string }).type !== 'BackupCorrupt') throw error;
    return { name, ok: false, detail: (error as Error).message };
  }
}
