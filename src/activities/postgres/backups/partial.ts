/**
 * A backup that is being made, or fetched, lies in a folder of its own attempt until it is whole: an attempt that was given up
 * and wakes up again finds nothing of another one's to remove or to replace.
 */
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { currentActivity } from '../../support/heartbeat';
import { fail } from '../../support/failure';
import { PARTIAL_SUFFIX, syncPath } from './manifest';

/** `<base>.<attempt>.partial`. */
export function partialOf(base: string, attempt = currentActivity().attempt): string {
  return `${base}.${attempt}${PARTIAL_SUFFIX}`;
}

/** An empty folder for this attempt. For those before it nobody waits any longer, even where one still runs. */
export async function preparePartial(base: string): Promise<string> {
  const { attempt } = currentActivity();
  for (const earlier of await attemptsAt(base))
    if (earlier <= attempt) await rm(partialOf(base, earlier), { recursive: true, force: true });
  const partial = partialOf(base);
  await mkdir(partial, { recursive: true, mode: 0o700 });
  return partial;
}

/**
 * Gives the folder of this attempt its name. False, and nothing is done, where the name is taken. Throws BackupIncomplete where
 * a later attempt is at it.
 */
export async function publishPartial(base: string, folder: string): Promise<boolean> {
  const { attempt } = currentActivity();
  if ((await attemptsAt(base)).some((other) => other > attempt)) {
    throw fail(
      'BackupIncomplete',
      `Attempt ${attempt} of ${basename(folder)} was given up, and a later one makes it. Nothing was published.`,
    );
  }
  const partial = partialOf(base);
  await syncPath(partial);
  try {
    // Fails where anything has that name.
    await rename(partial, folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    return false;
  }
  await syncPath(dirname(folder));
  return true;
}

async function attemptsAt(base: string): Promise<number[]> {
  const prefix = `${basename(base)}.`;
  const names = await readdir(dirname(base)).catch(() => []);
  return names
    .filter((name) => name.startsWith(prefix) && name.endsWith(PARTIAL_SUFFIX))
    .map((name) => Number(name.slice(prefix.length, -PARTIAL_SUFFIX.length)))
    .filter(Number.isInteger);
}
