import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  isBackupId,
  PARTIAL_SUFFIX,
  PROVEN_FILE,
  purposeOf,
  readManifest,
  RELEASED_FILE,
  summaryOf,
  type Manifest,
} from './manifest';
import { readMark, type Mark, type Proof, type Release } from './marks';
import type { BackupListEntry, BackupRef } from '../../../contract/backup';

export interface ListedBackup extends BackupListEntry {
  folder: string;
  compression: number | string;
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

/**
 * Everything in the folder of an environment's backups. A folder that does not exist holds none. `onNext` hears before each
 * of them how many were read, and ends the reading by throwing.
 */
export async function readStore(
  folder: string,
  onNext: (done: number, total: number) => void = () => undefined,
): Promise<BackupStore> {
  const store: BackupStore = { backups: [], leftovers: [], oddities: [] };
  const names = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const [index, entry] of names.entries()) {
    onNext(index, names.length);
    const { name } = entry;
    if (entry.isDirectory() && (name.endsWith(PARTIAL_SUFFIX) || name.startsWith(DELETING_PREFIX)))
      store.leftovers.push(name);
    else if (entry.isDirectory() && isBackupId(name)) await addBackup(store, folder, name);
    else store.oddities.push(`${name} is no backup`);
  }
  store.backups.sort(newestFirst);
  return store;
}

/** Damaged ones last. */
export function newestFirst(a: ListedBackup, b: ListedBackup): number {
  return Number(b.complete) - Number(a.complete) || b.snapshotAt.localeCompare(a.snapshotAt);
}

async function addBackup(store: BackupStore, parent: string, name: string): Promise<void> {
  const folder = join(parent, name);
  try {
    const { manifest, sha256 } = await readManifest(folder);
    if (manifest.backupId !== name) store.oddities.push(`${name} calls itself ${manifest.backupId}`);
    if (Number.isNaN(Date.parse(manifest.snapshotAt)))
      store.oddities.push(`${name} has no time of its snapshot`);
    const proof = await readMark<Proof>(folder, PROVEN_FILE);
    const release = await readMark<Release>(folder, RELEASED_FILE);
    for (const [mark, what] of [
      [proof, 'the proof'],
      [release, 'the release'],
    ] as const)
      if (mark !== undefined && !isAbout(mark, sha256))
        store.oddities.push(`${name} carries ${what} of another backup`);
    const missing = await missingFiles(folder, manifest);
    if (missing.length > 0 && (await isGone(folder))) return;
    store.backups.push({
      ...listed(manifest, sha256),
      where: ['disk'],
      releasedAt: isAbout(release, sha256) ? release.releasedAt : null,
      provenAt: isAbout(proof, sha256) ? proof.provenAt : null,
      complete: missing.length === 0,
      ...(missing.length === 0 ? {} : { problem: describeMissing(missing) }),
      folder,
    });
  } catch (error) {
    if (await isGone(folder)) return;
    store.oddities.push(`${name}: ${(error as Error).message}`);
    const parts = parent.split(/[\\/]/);
    const ref = { service: parts.at(-2) ?? '', environment: parts.at(-1) ?? '', backupId: name };
    store.backups.push({ ...unreadable(ref, problemOf(error)), where: ['disk'], folder });
  }
}

/** The retention may delete a backup while it is looked at: that is no damage. */
export async function isGone(folder: string): Promise<boolean> {
  return stat(folder).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
}

export function listed(manifest: Manifest, sha256: string) {
  const { excludedForeignTables: _bounded, ...summary } = summaryOf(manifest, sha256);
  return { ...summary, purpose: purposeOf(manifest), compression: manifest.compression };
}

function isAbout<T extends Mark>(mark: T | undefined, sha256: string): mark is T {
  return mark?.manifestSha256 === sha256;
}

/** Without the folder, which the messages of the errors name. */
export function problemOf(error: unknown): string {
  const { type, message } = error as { type?: string; message: string };
  if (type === 'BackupCorrupt') return 'its manifest was changed';
  return type === 'BackupIncomplete' ? 'it has no readable manifest' : message;
}

export function describeMissing(paths: string[]): string {
  const [first] = paths;
  return paths.length === 1
    ? `${first} is missing or has another size`
    : `${paths.length} files, e.g. ${first}, are missing or have another size`;
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

/** The newest recovery point: complete, no safety backup, and other than `except`. */
export async function newestComplete(folder: string, except?: string): Promise<ListedBackup | undefined> {
  const { backups } = await readStore(folder);
  return backups.find(
    ({ complete, purpose, backupId }) => complete && purpose === 'scheduled' && backupId !== except,
  );
}

export function unreadable(ref: BackupRef, problem: string): Omit<ListedBackup, 'folder' | 'where'> {
  return {
    ...ref,
    purpose: purposeOf(ref),
    releasedAt: null,
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
    provenAt: null,
    complete: false,
    problem,
    compression: -1,
  };
}
