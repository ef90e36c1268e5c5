import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, normalize, sep } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { needFree } from '../../../support/disk';
import { fail } from '../../../support/failure';
import { MANIFEST_FILE, MANIFEST_HASH_FILE, syncPath, type FileEntry, type ReadManifest } from '../manifest';
import type { Bucket } from './bucket';
import { forEachFile } from './copy';
import { offsiteError } from './offsite-error';
import { readOffsiteManifest } from './offsite-store';

/** Reads every byte of a copy off site, and writes it into `into` where that is given. Throws BackupCorrupt. */
export async function readCopy(bucket: Bucket, folder: string, into?: string): Promise<ReadManifest> {
  const { manifest, sha256, text } = await readOffsiteManifest(bucket, folder);
  if (into !== undefined) await needFree(into, manifest.sizeBytes, `Backup ${manifest.backupId}`);
  await forEachFile(
    into === undefined ? 'read off site' : 'fetch from off site',
    manifest,
    async (file, signal) => {
      const target = into === undefined ? undefined : await placeFor(into, file);
      try {
        const read = await hashOf(await bucket.stream(`${folder}${file.path}`, signal), target, signal);
        if (read !== file.sha256) throw damaged(bucket, folder, file);
      } catch (error) {
        throw offsiteError(error, 'read', `${bucket.where}${folder}${file.path}`);
      }
    },
  );
  if (into !== undefined) {
    for (const [name, content] of [
      [MANIFEST_FILE, text],
      [MANIFEST_HASH_FILE, `${sha256}\n`],
    ] as const)
      await writeFile(join(into, name), content, { mode: 0o600, flush: true });
    await syncPath(into);
  }
  return { manifest, sha256 };
}

/** A manifest from outside must not lead out of the folder. */
async function placeFor(into: string, { path }: FileEntry): Promise<string> {
  const target = normalize(join(into, path));
  if (!target.startsWith(into + sep))
    throw fail(
      'BackupCorrupt',
      `The manifest names ${path}, which lies outside of the backup. Nothing was written.`,
    );
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  return target;
}

async function hashOf(
  stream: NodeJS.ReadableStream,
  target: string | undefined,
  signal: AbortSignal,
): Promise<string> {
  const hash = createHash('sha256');
  const hashing = new Transform({
    transform(chunk: Buffer, _encoding, next) {
      hash.update(chunk);
      next(null, target === undefined ? undefined : chunk);
    },
  });
  if (target === undefined) await pipeline(stream, hashing.resume(), { signal });
  else await pipeline(stream, hashing, createWriteStream(target, { mode: 0o600, flush: true }), { signal });
  return hash.digest('hex');
}

const damaged = (bucket: Bucket, folder: string, { path }: FileEntry) =>
  fail(
    'BackupCorrupt',
    `${bucket.where}${folder}${path} has other content than its manifest says. Use another backup, and copy this one again where the disk still has it.`,
  );
