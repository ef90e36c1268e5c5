import type { BackupRef } from '../../../../contract/backup';
import {
  describeMissing,
  listed,
  newestFirst,
  problemOf,
  unreadable,
  type ListedBackup,
} from '../backup-store';
import {
  isBackupId,
  MANIFEST_FILE,
  MANIFEST_HASH_FILE,
  parseManifest,
  PROVEN_FILE,
  type ReadManifest,
} from '../manifest';
import type { Proof } from '../marks';
import type { Bucket, StoredObject } from './bucket';

export interface OffsiteBackup {
  listed: ListedBackup;
  objects: StoredObject[];
}

export interface OffsiteStore {
  /** Newest first; incomplete ones last. */
  backups: OffsiteBackup[];
  /** Copies that were begun and have no manifest yet. */
  unfinished: { backupId: string; objects: StoredObject[] }[];
}

/** Objects beside the files of a backup: marks of runs that have chosen it. */
export const HOLDS = 'holds/';

export const offsiteFolder = (service: string, environment: string, backupId?: string): string =>
  `${service}/${environment}/${backupId === undefined ? '' : `${backupId}/`}`;

/** Manifests by where they lie and what is in them: listing reads each of them once. */
const known = new Map<string, ReadManifest>();
const MAX_KNOWN = 2_000;
const AT_ONCE = 8;

/** Every copy off site, judged by the sizes of its objects. One listing, and a manifest each that was not seen before. */
export async function readOffsite(
  bucket: Bucket,
  service: string,
  environment: string,
): Promise<OffsiteStore> {
  const folder = offsiteFolder(service, environment);
  const byId = new Map<string, StoredObject[]>();
  for (const object of await bucket.list(folder)) {
    const slash = object.path.indexOf('/');
    const backupId = object.path.slice(0, Math.max(0, slash));
    if (!isBackupId(backupId)) continue;
    const objects = byId.get(backupId) ?? [];
    objects.push({ ...object, path: object.path.slice(slash + 1) });
    byId.set(backupId, objects);
  }
  const store: OffsiteStore = { backups: [], unfinished: [] };
  const queue = [...byId];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [backupId, objects] = next;
      const isFinished = objects.some(({ path }) => path === MANIFEST_FILE);
      if (!isFinished) {
        store.unfinished.push({ backupId, objects });
        continue;
      }
      const listed = await judge(bucket, { service, environment, backupId }, objects);
      // What the retention deletes meanwhile is not damaged.
      if (listed.complete || (await hasManifest(bucket, listed.folder)))
        store.backups.push({ objects, listed });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  store.backups.sort((a, b) => newestFirst(a.listed, b.listed));
  return store;
}

export async function hasManifest(bucket: Bucket, folder: string): Promise<boolean> {
  return (await bucket.list(`${folder}${MANIFEST_FILE}`)).length > 0;
}

/** And not about the storage, or the way to it: the other copies can be read. */
export function isAboutOneCopy(error: unknown): boolean {
  const { type, nonRetryable } = error as { type?: string; nonRetryable?: boolean };
  return type === 'BackupCorrupt' || (type === 'OffsiteFailed' && nonRetryable === true);
}

async function judge(bucket: Bucket, ref: BackupRef, objects: StoredObject[]): Promise<ListedBackup> {
  const folder = offsiteFolder(ref.service, ref.environment, ref.backupId);
  try {
    const { manifest, sha256 } = await knownManifest(bucket, folder, objects);
    if (offsiteFolder(manifest.service, manifest.environment, manifest.backupId) !== folder)
      return misplaced(ref, manifest, folder);
    const sizes = new Map(objects.map(({ path, bytes }) => [path, bytes]));
    const missing = manifest.files.filter(({ path, bytes }) => sizes.get(path) !== bytes);
    return {
      ...listed(manifest, sha256),
      releasedAt: null,
      provenAt: sizes.has(PROVEN_FILE) ? await readProof(bucket, folder, sha256) : null,
      complete: missing[0] === undefined,
      ...(missing[0] === undefined ? {} : { problem: describeMissing(missing.map(({ path }) => path)) }),
      where: ['offsite'],
      folder,
    };
  } catch (error) {
    if (!isAboutOneCopy(error)) throw error;
    return { ...unreadable(ref, problemOf(error)), where: ['offsite'], folder };
  }
}

/** Whoever took it for the backup that it calls itself would delete one for the other. */
function misplaced(ref: BackupRef, names: BackupRef, folder: string): ListedBackup {
  const { service, environment, backupId } = names;
  const itself = backupId === ref.backupId ? `${service}/${environment}/${backupId}` : backupId;
  return { ...unreadable(ref, `it calls itself ${itself}`), where: ['offsite'], folder };
}

async function knownManifest(bucket: Bucket, folder: string, objects: StoredObject[]): Promise<ReadManifest> {
  const etag = objects.find(({ path }) => path === MANIFEST_FILE)?.etag ?? '';
  const key = `${bucket.where}${folder}${etag}`;
  const seen = known.get(key);
  if (seen !== undefined) return seen;
  const { manifest, sha256 } = await readOffsiteManifest(bucket, folder);
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(key, { manifest, sha256 });
  return { manifest, sha256 };
}

/** With its text as it is stored. Throws BackupCorrupt where it is not what its hash says. */
export async function readOffsiteManifest(
  bucket: Bucket,
  folder: string,
): Promise<ReadManifest & { text: string }> {
  const text = await bucket.text(`${folder}${MANIFEST_FILE}`);
  const expected = (await bucket.text(`${folder}${MANIFEST_HASH_FILE}`)).trim();
  return { ...parseManifest(text, expected, `${bucket.where}${folder}`), text };
}

async function readProof(bucket: Bucket, folder: string, sha256: string): Promise<string | null> {
  const text = await bucket.text(`${folder}${PROVEN_FILE}`);
  try {
    const proof = JSON.parse(text) as Proof;
    return proof.manifestSha256 === sha256 ? proof.provenAt : null;
  } catch {
    return null;
  }
}
