import type { Pruned } from '../../../../contract/backup';
import type { Place } from '../../../../contract/place';
import { fail } from '../../../support/failure';
import { isHolding } from '../holds';
import { MANIFEST_FILE } from '../manifest';
import type { PruneOptions } from '../prune';
import { chooseDoomed } from '../retention';
import type { Bucket } from './bucket';
import {
  HOLDS,
  offsiteFolder,
  readOffsite,
  readOffsiteManifest,
  type OffsiteBackup,
  type OffsiteStore,
} from './offsite-store';

/** A copy lasts a day at most: what was begun earlier and has no manifest is nobody's. */
const UNFINISHED_AGE_MS = 25 * 3_600_000;

type PrunedOffsite = Pruned & { locked: string[] };

/**
 * The same retention off site. What the storage lets nobody delete yet stays. Throws BackupCorrupt, and deletes nothing, while a
 * copy is damaged; InvalidInput when more than `maxDestructive` would go.
 */
export async function pruneOffsite(
  bucket: Bucket,
  place: Place,
  options: PruneOptions,
): Promise<PrunedOffsite> {
  const { retention, maxDestructive, dryRun, client } = options;
  const folderOf = (backupId: string): string => offsiteFolder(place.service, place.environment, backupId);
  const store = await readOffsite(bucket, place.service, place.environment);
  refuseAmbiguous(bucket, store);
  const due = chooseDoomed(
    store.backups.map(({ listed }) => listed),
    retention,
  ).map(({ backupId }) => backupId);
  const doomed: OffsiteBackup[] = [];
  const held: string[] = [];
  const locked: string[] = [];
  for (const backup of store.backups.filter(({ listed }) => due.includes(listed.backupId))) {
    const { backupId } = backup.listed;
    if (await isHeldOffsite(bucket, folderOf(backupId), options)) held.push(backupId);
    else if (await isLocked(bucket, folderOf(backupId))) locked.push(backupId);
    else doomed.push(backup);
  }
  const begun = store.unfinished.filter(({ objects }) =>
    objects.every(({ modifiedAt }) => Date.now() - modifiedAt > UNFINISHED_AGE_MS),
  );
  if (doomed.length + begun.length > maxDestructive) {
    throw fail(
      'InvalidInput',
      `The retention would delete ${doomed.length + begun.length} copies of ${bucket.where}${offsiteFolder(place.service, place.environment)}, more than maxDestructive ${maxDestructive}. Nothing was deleted there. Look at them, then raise the cap or delete by hand.`,
    );
  }
  const deleted: string[] = [];
  for (const { listed, objects } of doomed) {
    if (dryRun || (await remove(bucket, folderOf(listed.backupId), objects, client)))
      deleted.push(listed.backupId);
    else held.push(listed.backupId);
  }
  if (!dryRun)
    for (const { backupId, objects } of begun) await bucket.remove(folderOf(backupId), pathsOf(objects));
  const kept = store.backups
    .map(({ listed: { backupId } }) => backupId)
    .filter((backupId) => !deleted.includes(backupId));
  return { deleted: [...deleted, ...begun.map(({ backupId }) => backupId)], kept, held, locked };
}

function refuseAmbiguous(bucket: Bucket, { backups }: OffsiteStore): void {
  const problems = backups
    .map(({ listed: { backupId, complete, problem, snapshotAt } }) => {
      if (!complete) return `${backupId} is not complete: ${problem ?? 'damaged'}`;
      return Date.parse(snapshotAt) > Date.now() + 3_600_000 ? `${backupId} is of the future` : undefined;
    })
    .filter((problem) => problem !== undefined);
  if (problems.length === 0) return;
  throw fail(
    'BackupCorrupt',
    `The copies in ${bucket.where} are ambiguous: ${problems.slice(0, 5).join('; ')}. Nothing was deleted there. Look at them and move away what does not belong there.`,
  );
}

async function isHeldOffsite(
  bucket: Bucket,
  folder: string,
  { client }: Pick<PruneOptions, 'client'>,
): Promise<boolean> {
  for (const { path } of await bucket.list(`${folder}${HOLDS}`))
    if (await isHolding(await bucket.text(`${folder}${HOLDS}${path}`), client)) return true;
  return false;
}

/** The manifest is the last object of a copy, so it is free last. */
async function isLocked(bucket: Bucket, folder: string): Promise<boolean> {
  const { lockedUntil } = await bucket.head(`${folder}${MANIFEST_FILE}`);
  return lockedUntil !== undefined && lockedUntil.getTime() > Date.now();
}

const pathsOf = (objects: OffsiteBackup['objects']): string[] => objects.map(({ path }) => path);

/** The manifest first: a copy without one is no backup, and nobody can choose it any longer. Whoever did before gets it back. */
async function remove(
  bucket: Bucket,
  folder: string,
  objects: OffsiteBackup['objects'],
  client: PruneOptions['client'],
): Promise<boolean> {
  const { text } = await readOffsiteManifest(bucket, folder);
  await bucket.remove(folder, [MANIFEST_FILE]);
  if (await isHeldOffsite(bucket, folder, { client })) {
    await bucket.putText(`${folder}${MANIFEST_FILE}`, text);
    return false;
  }
  await bucket.remove(folder, pathsOf(objects));
  return true;
}
