/** Files beside a manifest that say what became of the backup since. Each names the manifest that it is about. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { currentActivity } from '../../support/heartbeat';
import { syncPath } from './manifest';

export interface Mark {
  manifestSha256: string;
}

export interface Proof extends Mark {
  provenAt: string;
}

export interface Release extends Mark {
  releasedAt: string;
  by: string;
}

/** Undefined where there is none. */
export async function readMark<T extends Mark>(folder: string, file: string): Promise<T | undefined> {
  const text = await readFile(join(folder, file), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

/** Replaced in one step, so that a reader never sees half of it. */
export async function writeMark<T extends Mark>(folder: string, file: string, mark: T): Promise<void> {
  const path = join(folder, file);
  const { activityId, attempt } = currentActivity();
  const fresh = `${path}.${activityId}.${attempt}.new`;
  try {
    await writeFile(fresh, JSON.stringify(mark), { mode: 0o600, flush: true });
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncPath(folder);
}
