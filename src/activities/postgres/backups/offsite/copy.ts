import { join } from 'node:path';
import { currentActivity, withProgress } from '../../../support/heartbeat';
import { fail } from '../../../support/failure';
import { MANIFEST_FILE, MANIFEST_HASH_FILE, readManifest, type FileEntry, type Manifest } from '../manifest';
import { readFile } from 'node:fs/promises';
import type { Bucket } from './bucket';
import { readOffsiteManifest } from './offsite-store';

const FILES_AT_ONCE = 4;

/** Runs `work` for every file, a few at once, and reports their bytes. The first failure stops the others. */
export async function forEachFile(
  phase: string,
  manifest: Manifest,
  work: (file: FileEntry, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stopped = new AbortController();
  const signal = AbortSignal.any([currentActivity().signal, stopped.signal]);
  // The largest first: what is left at the end is small.
  const queue = [...manifest.files].sort((a, b) => b.bytes - a.bytes);
  let done = 0;
  const total = manifest.sizeBytes;
  await withProgress({ phase, done, total, unit: 'bytes' }, async (report) => {
    const one = async (): Promise<void> => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        signal.throwIfAborted();
        await work(file, signal);
        report({ done: (done += file.bytes) });
      }
    };
    const all = Array.from({ length: FILES_AT_ONCE }, one);
    try {
      await Promise.all(all);
    } catch (error) {
      stopped.abort(error);
      await Promise.allSettled(all);
      throw error;
    }
  });
}

export interface Copied {
  sent: number;
  alreadyThere: number;
}

/**
 * Copies a backup into a folder of the bucket, its manifest last: what has none is no backup. What an earlier attempt copied
 * is not copied again. Throws BackupCorrupt where another backup has that name, or a file is not what its manifest says.
 */
export async function copyOffsite(bucket: Bucket, local: string, folder: string): Promise<Copied> {
  const { manifest, sha256 } = await readManifest(local);
  const there = new Map((await bucket.list(folder)).map(({ path, bytes }) => [path, bytes]));
  if (there.has(MANIFEST_FILE)) await refuseAnother(bucket, folder, sha256);
  let alreadyThere = 0;
  await forEachFile('copy off site', manifest, async (file, signal) => {
    const target = `${folder}${file.path}`;
    if (there.get(file.path) === file.bytes && (await bucket.head(target)).sha256 === file.sha256)
      return void (alreadyThere += 1);
    await bucket.putFile(target, join(local, file.path), file, signal);
  });
  for (const name of [MANIFEST_HASH_FILE, MANIFEST_FILE])
    if (!there.has(MANIFEST_FILE))
      await bucket.putText(`${folder}${name}`, await readFile(join(local, name), 'utf8'));
  return { sent: manifest.files.length - alreadyThere, alreadyThere };
}

async function refuseAnother(bucket: Bucket, folder: string, sha256: string): Promise<void> {
  const there = await readOffsiteManifest(bucket, folder);
  if (there.sha256 === sha256) return;
  throw fail(
    'BackupCorrupt',
    `${bucket.where}${folder} holds another backup under this ID. Nothing was copied. Look at it, and move it away.`,
  );
}
