import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { fail } from '../../support/failure';
import { DELETING_PREFIX, readStore, type BackupStore } from './backup-store';
import { isHeld } from './holds';
import { PARTIAL_SUFFIX, syncPath } from './manifest';
import { chooseDoomed, type Retention } from './retention';
import type { Pruned } from '../../../contract/backup';

/** An attempt lasts a day at most: what is older is nobody's. */
const LEFTOVER_AGE_MS = 25 * 3_600_000;

export interface PruneOptions {
  retention: Retention;
  maxDestructive: number;
  dryRun: boolean;
  /** To ask whether the runs that have chosen a backup still run. */
  client?: Client | undefined;
}

/**
 * Deletes what goes beyond the retention, except what an open run has chosen. Throws BackupCorrupt, and deletes nothing,
 * while the folder holds anything that is not understood; InvalidInput when more than `maxDestructive` would go.
 */
export async function pruneStore(folder: string, options: PruneOptions): Promise<Pruned> {
  const { retention, maxDestructive, dryRun, client } = options;
  const interrupted = await heldInDeletion(folder, client);
  if (!dryRun)
    for (const backupId of interrupted)
      await rename(join(folder, `${DELETING_PREFIX}${backupId}`), join(folder, backupId));
  const store = await readStore(folder);
  refuseAmbiguous(folder, store);
  const due = chooseDoomed(store.backups, retention).map(({ backupId }) => backupId);
  const held = dryRun ? interrupted : [];
  for (const backupId of due) if (await isHeld(join(folder, backupId), client)) held.push(backupId);
  const doomed = due.filter((backupId) => !held.includes(backupId));
  const leftovers = (await oldLeftovers(folder, store)).filter(
    (name) => !interrupted.some((backupId) => name === `${DELETING_PREFIX}${backupId}`),
  );
  if (doomed.length + leftovers.length > maxDestructive) {
    throw fail(
      'InvalidInput',
      `The retention would delete ${doomed.length + leftovers.length} backups of ${folder}, more than maxDestructive ${maxDestructive}. Nothing was deleted. Look at them, then raise the cap or delete by hand.`,
    );
  }
  // First, so that their names are free.
  if (!dryRun) for (const name of leftovers) await rm(join(folder, name), { recursive: true, force: true });
  const gone = dryRun ? doomed : await removeAll(folder, doomed, client);
  held.push(...doomed.filter((backupId) => !gone.includes(backupId)));
  const kept = store.backups.map(({ backupId }) => backupId).filter((backupId) => !gone.includes(backupId));
  return { deleted: [...gone, ...leftovers], kept, held };
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

/** Renamed by a deletion that was killed before it asked whether an open run has chosen them: nothing of them is gone. */
async function heldInDeletion(folder: string, client: Client | undefined): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [] as string[];
    throw error;
  });
  const held: string[] = [];
  for (const name of names.filter((one) => one.startsWith(DELETING_PREFIX))) {
    const backupId = name.slice(DELETING_PREFIX.length);
    if (!names.includes(backupId) && (await isHeld(join(folder, name), client))) held.push(backupId);
  }
  return held;
}

/** Half-deleted ones, what is too old to be growing, and partial ones of a backup that is finished. */
async function oldLeftovers(folder: string, { backups, leftovers }: BackupStore): Promise<string[]> {
  const old: string[] = [];
  for (const name of leftovers) {
    const { mtimeMs } = await stat(join(folder, name)).catch(() => ({ mtimeMs: Date.now() }));
    // Whoever fetches one reads its copy off site also where the disk has it: its partial has a longer name.
    const finished = backups.some(
      ({ backupId }) =>
        name.startsWith(`${backupId}.`) && /^\d+\.partial$/.test(name.slice(backupId.length + 1)),
    );
    if (
      name.startsWith(DELETING_PREFIX) ||
      (name.endsWith(PARTIAL_SUFFIX) && (finished || Date.now() - mtimeMs > LEFTOVER_AGE_MS))
    )
      old.push(name);
  }
  return old;
}

async function removeAll(folder: string, doomed: string[], client: Client | undefined): Promise<string[]> {
  const gone: string[] = [];
  for (const backupId of doomed) if (await remove(folder, backupId, client)) gone.push(backupId);
  return gone;
}

/**
 * Renamed first: what an interrupted deletion leaves must not look like a backup, and nobody can choose it any longer.
 * Whoever chose it before that has left a mark, and gets it back.
 */
async function remove(folder: string, backupId: string, client: Client | undefined): Promise<boolean> {
  const place = join(folder, backupId);
  const doomed = join(folder, `${DELETING_PREFIX}${backupId}`);
  await rename(place, doomed).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  await syncPath(folder);
  if (await isHeld(doomed, client)) {
    await rename(doomed, place);
    return false;
  }
  await rm(doomed, { recursive: true, force: true });
  return true;
}
