import { statfs } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { bytes } from '../../contract/text';
import { fail } from './failure';

/** Bytes that we may still write where `path` is or would be. */
export async function freeBytes(path: string): Promise<number> {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) throw error;
    }
  }
}

/** Throws OutOfDisk where less is free at `path` than `what` needs. */
export async function needFree(path: string, needed: number, what: string): Promise<void> {
  const free = await freeBytes(path);
  if (free >= needed) return;
  throw fail(
    'OutOfDisk',
    `${what} needs about ${bytes(needed)} in ${path}, where ${bytes(free)} are free (${Math.ceil(needed)} and ${free} bytes). Nothing was begun. Free disk space there, then start again.`,
  );
}
