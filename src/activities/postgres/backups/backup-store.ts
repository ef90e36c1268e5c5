import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isBackupId, PARTIAL_SUFFIX, PROVEN_FILE, readManifest, summaryOf, type Manifest } from './manifest';
import type { BackupListEntry } from '../../../contract/backup';

export interface ListedBackup extends BackupListEntry {
  folder: string;
  compression: number;
}

export interface BackupStore {
  /** Newest first; damaged ones with `complete: false` last. */
  backups: ListedBackup[];
  /** Unfinished leftovers and half-deleted ones: folder names. */
  leftovers: string[];
  /** What is there and is none of ours, or contradicts itself: nothing may be deleted while there is any. */
  oddities: string[];
}

export const DELETING_PREFIX = '.deleting-';

/** Everything in the folder of an environment's backups. A folder that does not exist holds none. */
export async function readStore(folder: string): Promise<BackupStore> {
  const store: BackupStore = { backups: [], leftovers: [], oddities: [] };
  const names = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of names) {
    const { name } = entry;
    if (entry.isDirectory() && (name.endsWith(PARTIAL_SUFFIX) || name.startsWith(DELETING_PREFIX)))
      store.leftovers.push(name);
    else if (entry.isDirectory() && isBackupId(name)) await addBackup(store, folder, name);
    else store.oddities.push(`${name} is no backup`);
  }
  store.backups.sort(
    (a, b) => Number(b.complete) - Number(a.complete) || b.snapshotAt.localeCompare(a.snapshotAt),
  );
  return store;
}

async function addBackup(store: BackupStore, parent: string, name: string): Promise<void> {
  const folder = join(parent, name);
  try {
    const { manifest, sha256 } = await readManifest(folder);
    if (manifest.backupId !== name) store.oddities.push(`${name} calls itself ${manifest.backupId}`);
    if (Number.isNaN(Date.parse(manifest.snapshotAt)))
      store.oddities.push(`${name} has no time of its snapshot`);
    const proof = await readProof(folder);
    if (proof !== undefined && proof.manifestSha256 !== sha256) {
      store.oddities.push(`${name} carries the proof of another backup`);
    }
    store.backups.push({
      ...summaryOf(manifest, sha256),
      provenAt: proof?.manifestSha256 === sha256 ? proof.provenAt : null,
      complete: (await missingFiles(folder, manifest)).length === 0,
      compression: manifest.compression,
      folder,
    });
  } catch (error) {
    store.oddities.push(`${name}: ${(error as Error).message}`);
    store.backups.push({ ...unreadable(parent, name), folder });
  }
}

/** Files that the manifest names and that are gone or have another size. Cheap: nothing is read. */
export async function missingFiles(folder: string, manifest: Manifest): Promise<string[]> {
  const checked = await Promise.all(
    manifest.files.map(async ({ path, bytes }) => {
      const size = await stat(join(folder, path)).then(
        (found) => found.size,
        () => -1,
      );
      return size === bytes ? undefined : path;
    }),
  );
  return checked.filter((path) => path !== undefined);
}

async function readProof(folder: string): Promise<{ provenAt: string; manifestSha256: string } | undefined> {
  const text = await readFile(join(folder, PROVEN_FILE), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as { provenAt: string; manifestSha256: string });
}

/** The newest backup that is complete, other than `except`. */
export async function newestComplete(folder: string, except?: string): Promise<ListedBackup | undefined> {
  const { backups } = await readStore(folder);
  return backups.find(({ complete, backupId }) => complete && backupId !== except);
}

function unreadable(parent: string, backupId: string): Omit<ListedBackup, 'folder'> {
  const parts = parent.split(/[\\/]/);
  return {
    service: parts.at(-2) ?? '',
    environment: parts.at(-1) ?? '',
    backupId,
    snapshotAt: '',
    lsn: '',
    durationMs: 0,
    sizeBytes: 0,
    databaseBytes: 0,
    files: 0,
    tables: 0,
    rows: 0,
    serverVersionNum: 0,
    canary: null,
    manifestSha256: '',
    excludedForeignTables: [],
    provenAt: null,
    complete: false,
    compression: -1,
  };
}
