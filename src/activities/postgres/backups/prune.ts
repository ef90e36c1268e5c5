import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fail } from '../../support/failure';
import { DELETING_PREFIX, readStore, type BackupStore, type ListedBackup } from './backup-store';
import { PARTIAL_SUFFIX, syncPath } from './manifest';

/** A partial backup younger than this may still be growing under another worker. */
const LEFTOVER_AGE_MS = 24 * 3_600_000;

/**
 * Deletes what goes beyond the retention. Throws BackupCorrupt, and deletes nothing, while the folder holds anything
 * that is not understood; InvalidInput when more than `maxDestructive` would go.
 */
export async function pruneStore(
  folder: string,
  { keep, maxDestructive, dryRun }: { keep: number; maxDestructive: number; dryRun: boolean },
): Promise<{ deleted: string[]; kept: string[] }> {
  const store = await readStore(folder);
  refuseAmbiguous(folder, store);
  const doomed = chooseDoomed(store.backups, keep);
  const leftovers = await oldLeftovers(folder, store.leftovers);
  if (doomed.length + leftovers.length > maxDestructive) {
    throw fail(
      'InvalidInput',
      `The retention would delete ${doomed.length + leftovers.length} backups of ${folder}, more than maxDestructive ${maxDestructive}. Nothing was deleted. Look at them, then raise the cap or delete by hand.`,
    );
  }
  if (!dryRun) {
    for (const { backupId } of doomed) await remove(folder, backupId);
    for (const name of leftovers) await rm(join(folder, name), { recursive: true, force: true });
  }
  const gone = new Set(doomed.map(({ backupId }) => backupId));
  const kept = store.backups.map(({ backupId }) => backupId).filter((backupId) => !gone.has(backupId));
  return { deleted: [...gone, ...leftovers], kept };
}

function refuseAmbiguous(folder: string, { backups, oddities }: BackupStore): void {
  const problems = [...oddities];
  for (const { backupId, complete, snapshotAt } of backups) {
    if (!complete) problems.push(`${backupId} is not complete`);
    // With a wrong clock nobody knows which of them is the newest.
    if (Date.parse(snapshotAt) > Date.now() + 3_600_000)
      problems.push(`${backupId} is of the future (${snapshotAt})`);
  }
  if (new Set(backups.map(({ snapshotAt }) => snapshotAt)).size < backups.length)
    problems.push('two backups have the same time');
  if (problems.length === 0) return;
  throw fail(
    'BackupCorrupt',
    `The backups in ${folder} are ambiguous: ${problems.slice(0, 5).join('; ')}. Nothing was deleted. Look at them and move away what does not belong there.`,
  );
}

/**
 * The newest `keep` proven ones stay, and as many unproven ones. While none is proven, any of them may be the only good
 * one, and all stay.
 */
export function chooseDoomed(newestFirst: ListedBackup[], keep: number): ListedBackup[] {
  const proven = newestFirst.filter(({ provenAt }) => provenAt !== null);
  const unproven = newestFirst.filter(({ provenAt }) => provenAt === null);
  if (proven.length === 0) return [];
  return [...proven.slice(Math.max(1, keep)), ...unproven.slice(Math.max(1, keep))];
}

async function oldLeftovers(folder: string, names: string[]): Promise<string[]> {
  const old: string[] = [];
  for (const name of names) {
    const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (
      name.startsWith(DELETING_PREFIX) ||
      (name.endsWith(PARTIAL_SUFFIX) && Date.now() - mtimeMs > LEFTOVER_AGE_MS)
    )
      old.push(name);
  }
  return old;
}

/** Renamed first: what an interrupted deletion leaves must not look like a backup. */
async function remove(folder: string, backupId: string): Promise<void> {
  const doomed = join(folder, `${DELETING_PREFIX}${backupId}`);
  await rename(join(folder, backupId), doomed).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await syncPath(folder);
  await rm(doomed, { recursive: true, force: true });
}
