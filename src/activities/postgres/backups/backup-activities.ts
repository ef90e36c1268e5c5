import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { runConfiguredCommand } from '../../support/configured-command';
import { mapError } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import { listDumpContents } from './completeness';
import { readStore, type ListedBackup } from './backup-store';
import { pruneStore } from './prune';
import { damagedFiles } from './verify-files';
import {
  backupFolder,
  backupsFolder,
  DATA_FOLDER,
  PROVEN_FILE,
  readManifest,
  syncPath,
  type Manifest,
} from './manifest';
import { openTools } from '../session/tools';
import type { Check, Place } from '../../../contract/place';
import type { BackupListEntry, BackupRef, ValidationReport } from '../../../contract/backup';

export function createBackupsActivities(deps: ActivityDeps) {
  return {
    /** Backups of an environment, newest first; damaged ones last with `complete: false`. Reads only. */
    async listBackups({ service, environment }: Place): Promise<BackupListEntry[]> {
      const { backups } = await readStore(backupsFolder(deps, service, environment));
      return backups.map(withoutFolder);
    },

    /**
     * Reads every file of a backup: checksums, table of contents, the manifest's own hash. What fails is reported, not
     * thrown. Reads only. It finds every damaged byte; that the dump restores is proven by a restore alone.
     */
    async verifyBackupFiles({ service, environment, backupId }: BackupRef): Promise<ValidationReport> {
      const startedAt = Date.now();
      const folder = backupFolder(deps, service, environment, backupId);
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
    },

    /**
     * Records that a restore of this backup matched its manifest. Safe to repeat: the file is replaced in one step.
     * Throws BackupIncomplete and BackupCorrupt.
     */
    async markBackupProven({ service, environment, backupId }: BackupRef): Promise<{ provenAt: string }> {
      const folder = backupFolder(deps, service, environment, backupId);
      const { sha256 } = await readManifest(folder);
      const provenAt = new Date().toISOString();
      try {
        // It names the manifest it is about: the proof of another backup is none of this one.
        await writeFile(join(folder, PROVEN_FILE), JSON.stringify({ provenAt, manifestSha256: sha256 }), {
          mode: 0o600,
          flush: true,
        });
        await syncPath(folder);
      } catch (error) {
        throw mapError(error, { action: 'record the proof', target: folder });
      }
      return { provenAt };
    },

    /**
     * Deletes the backups that the retention (`backups.keep`) no longer asks for, and old leftovers. Never the last proven
     * one, and nothing at all while the folder holds anything that is not understood. Safe to repeat.
     * Throws BackupCorrupt (ambiguous folder) and InvalidInput (more than `maxDestructive` at once).
     */
    async pruneBackups({
      service,
      environment,
      dryRun,
    }: Place & { dryRun: boolean }): Promise<{ deleted: string[]; kept: string[] }> {
      const folder = backupsFolder(deps, service, environment);
      const { backups, maxDestructive } = serviceOf(deps.config, service);
      try {
        const prune = () => pruneStore(folder, { keep: backups?.keep ?? 1, maxDestructive, dryRun });
        return await withProgress({ phase: 'retention', done: 0, total: 1, unit: 'bytes' }, prune);
      } catch (error) {
        throw mapError(error, { action: 'apply the retention', target: folder });
      }
    },

    /**
     * Runs the configured upload with BACKUP_PATH and BACKUP_ID. A retry runs it again: the command copies to a place that
     * follows from the ID. Throws CommandFailed, BackupIncomplete.
     */
    async uploadBackup({
      service,
      environment,
      backupId,
    }: BackupRef): Promise<{ uploaded: boolean; detail: string }> {
      const upload = serviceOf(deps.config, service).backups?.upload;
      if (upload === undefined) return { uploaded: false, detail: 'no upload configured' };
      const folder = backupFolder(deps, service, environment, backupId);
      await readManifest(folder);
      const detail = await runConfiguredCommand(deps, upload, {
        BACKUP_PATH: folder,
        BACKUP_ID: backupId,
        RUNBOOKS_SERVICE: service,
        RUNBOOKS_ENVIRONMENT: environment,
      });
      return { uploaded: true, detail };
    },
  };
}

function withoutFolder(listed: ListedBackup): BackupListEntry {
  // Paths of the worker's disk are nobody's business in a history.
  const { folder: _folder, compression: _compression, ...entry } = listed;
  return entry;
}

async function checkFiles(folder: string, manifest: Manifest): Promise<Check> {
  const damaged = await damagedFiles(folder, manifest);
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
