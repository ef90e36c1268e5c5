import { createHash } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { serviceOf } from '../../../../config/load';
import { bytes, countOf } from '../../../../contract/text';
import { runConfiguredCommand } from '../../../support/configured-command';
import type { ActivityDeps } from '../../../support/deps';
import { fail, mapError } from '../../../support/failure';
import { currentActivity, withProgress } from '../../../support/heartbeat';
import { holdFor } from '../holds';
import { missingFiles } from '../backup-store';
import { backupFolder, readManifest, syncPath, type ReadManifest } from '../manifest';
import { partialOf, preparePartial, publishPartial } from '../partial';
import { damagedFiles, verifyFiles } from '../verify-files';
import { openBucket, type Bucket } from './bucket';
import { copyOffsite } from './copy';
import { readCopy } from './fetch';
import { hasManifest, isAboutOneCopy, offsiteFolder, readOffsite } from './offsite-store';
import type { BackupRef, FetchedBackup, OffsiteReport } from '../../../../contract/backup';
import type { Place } from '../../../../contract/place';

const MAX_DAMAGED = 20;

/** Copies of backups off site: where a disk, or a whole host, is gone, a restore begins there. */
export function createOffsiteActivities(deps: ActivityDeps) {
  return {
    /**
     * Copies a backup off site: to the bucket of `backups.offsite`, and with the command of `backups.upload`, which gets
     * BACKUP_PATH and BACKUP_ID. A retry copies what is missing, and runs the command again: it copies to a place that follows
     * from the ID. Throws OffsiteFailed, CommandFailed, BackupIncomplete, BackupCorrupt.
     */
    async uploadBackup(ref: BackupRef): Promise<{ uploaded: boolean; detail: string }> {
      const { upload } = serviceOf(deps.config, ref.service).backups ?? {};
      const folder = folderOf(deps, ref);
      const done: string[] = [];
      const bucket = openBucket(deps, ref.service);
      if (bucket !== undefined) done.push(await copyTo(bucket, folder, ref).finally(bucket.close));
      if (upload !== undefined) {
        await readManifest(folder);
        done.push(await runConfiguredCommand(deps, upload, environmentFor(ref, folder)));
      }
      return done.length === 0
        ? { uploaded: false, detail: 'nothing off site configured' }
        : { uploaded: true, detail: done.join('; ') };
    },

    /**
     * Brings a backup from off site onto this worker's disk, or reads the copy to its end where the disk has it already. Every
     * byte is compared with the manifest. Safe to retry. Throws BackupCorrupt, OffsiteFailed, CommandFailed, OutOfDisk, and
     * InvalidInput where nothing is configured.
     */
    async fetchBackup(ref: BackupRef): Promise<FetchedBackup> {
      const folder = folderOf(deps, ref);
      const startedAt = Date.now();
      // Two runs may fetch the same backup at once.
      const base = `${folder}.${createHash('sha256').update(currentActivity().workflowId).digest('hex').slice(0, 12)}`;
      try {
        return await withProgress({ phase: 'fetch', done: 0, total: 0, unit: 'bytes' }, async () => {
          const partial = await preparePartial(base);
          const fetched = await fetchInto(deps, ref, partial);
          const durationMs = Date.now() - startedAt;
          await holdFor(partial);
          await stillThere(partial, fetched);
          const published = await publishPartial(base, folder);
          const onDisk = published ? '' : `; ${await mendOnDisk(folder, partial, fetched)}`;
          const { files, sizeBytes } = fetched.manifest;
          const detail = `${countOf(files.length, 'file')}, ${bytes(sizeBytes)}, each with the SHA-256 of the manifest${onDisk}`;
          return { durationMs, sizeBytes, detail };
        });
      } catch (error) {
        throw mapError(error, { action: `fetch ${ref.backupId} from off site to`, target: folder });
      } finally {
        await rm(partialOf(base), { recursive: true, force: true }).catch(() => undefined);
      }
    },

    /**
     * Looks at every copy off site: that each has all objects of its manifest, in their sizes. With `read`, every byte is
     * read back; hours and fees for many large ones. Reads only. Throws OffsiteFailed.
     */
    async verifyOffsite({ service, environment, read }: Place & { read: boolean }): Promise<OffsiteReport> {
      const bucket = openBucket(deps, service);
      if (bucket === undefined) return NOT_CONFIGURED;
      try {
        return await withProgress({ phase: 'look off site', done: 0, total: 0, unit: 'bytes' }, () =>
          look(bucket, { service, environment }, read),
        );
      } finally {
        bucket.close();
      }
    },
  };
}

const NOT_CONFIGURED: OffsiteReport = {
  configured: false,
  checked: 0,
  sizeBytes: 0,
  newestSnapshotAt: null,
  damagedCount: 0,
  damaged: [],
};

const folderOf = (deps: ActivityDeps, { service, environment, backupId }: BackupRef): string =>
  backupFolder(deps, service, environment, backupId);

const offsiteOf = ({ service, environment, backupId }: BackupRef): string =>
  offsiteFolder(service, environment, backupId);

const environmentFor = ({ service, environment, backupId }: BackupRef, folder: string) => ({
  BACKUP_PATH: folder,
  BACKUP_ID: backupId,
  RUNBOOKS_SERVICE: service,
  RUNBOOKS_ENVIRONMENT: environment,
});

async function copyTo(bucket: Bucket, folder: string, ref: BackupRef): Promise<string> {
  const { sent, alreadyThere } = await copyOffsite(bucket, folder, offsiteOf(ref));
  const before = alreadyThere > 0 ? `, ${alreadyThere} were there` : '';
  return `${countOf(sent, 'file')} copied to ${bucket.where}${offsiteOf(ref)}${before}`;
}

async function fetchInto(deps: ActivityDeps, ref: BackupRef, partial: string): Promise<ReadManifest> {
  const bucket = openBucket(deps, ref.service);
  if (bucket !== undefined) return readCopy(bucket, offsiteOf(ref), partial).finally(bucket.close);
  const command = serviceOf(deps.config, ref.service).backups?.fetch;
  if (command === undefined) {
    throw fail(
      'InvalidInput',
      `Nothing off site is configured for ${ref.service}. Set backups.offsite, or backups.fetch, or use a backup on the disk of the worker.`,
    );
  }
  await runConfiguredCommand(deps, command, environmentFor(ref, partial));
  const read = await readManifest(partial);
  if (read.manifest.backupId !== ref.backupId)
    throw fail(
      'BackupCorrupt',
      `backups.fetch brought ${read.manifest.backupId} instead of ${ref.backupId}.`,
    );
  await verifyFiles(partial, read.manifest);
  return read;
}

/** A later attempt clears away what an earlier one fetched, also where that one still runs. */
async function stillThere(partial: string, { manifest }: ReadManifest): Promise<void> {
  if ((await missingFiles(partial, manifest)).length === 0) return;
  throw fail(
    'BackupIncomplete',
    `What was fetched of ${manifest.backupId} was cleared away by another attempt. Nothing was published; this is tried again.`,
    { retryable: true },
  );
}

/** The same manifest names the same bytes: what the disk has damaged of them is replaced by what was fetched just now. */
async function mendOnDisk(
  folder: string,
  partial: string,
  { manifest, sha256 }: ReadManifest,
): Promise<string> {
  const onDisk = await readManifest(folder).catch((error: Error) => {
    throw fail(
      'BackupCorrupt',
      `${error.message} The copy off site is whole. Nothing was replaced. Move ${folder} away, then start again.`,
    );
  });
  if (onDisk.sha256 !== sha256) {
    throw fail(
      'BackupCorrupt',
      `${folder} is another backup than the copy off site under its ID. Nothing was replaced. Look at both, and move one away.`,
    );
  }
  // Files that are missing first: only then are the others read.
  const replaced = (await replaceDamaged()) + (await replaceDamaged());
  if (replaced === 0) return 'the disk has the same backup';
  return `${countOf(replaced, 'file')} of it on the disk ${replaced === 1 ? 'was damaged, and is' : 'were damaged, and are'} replaced: find out what the disk did`;

  async function replaceDamaged(): Promise<number> {
    const damaged = await damagedFiles(folder, manifest);
    for (const { path } of damaged) {
      await mkdir(dirname(join(folder, path)), { recursive: true, mode: 0o700 });
      await rename(join(partial, path), join(folder, path));
      await syncPath(dirname(join(folder, path)));
    }
    return damaged.length;
  }
}

async function look(bucket: Bucket, place: Place, read: boolean): Promise<OffsiteReport> {
  const { backups } = await readOffsite(bucket, place.service, place.environment);
  const damaged: OffsiteReport['damaged'] = [];
  for (const { listed } of backups) {
    const { backupId, problem } = listed;
    if (problem !== undefined) damaged.push({ backupId, problem });
    else if (read) {
      const found = await readBack(bucket, { ...place, backupId });
      if (found !== undefined) damaged.push({ backupId, problem: found });
    }
  }
  const [newest] = backups.map(({ listed }) => listed).filter(({ complete }) => complete);
  return {
    configured: true,
    checked: backups.length,
    sizeBytes: backups.reduce((sum, { listed }) => sum + listed.sizeBytes, 0),
    newestSnapshotAt: newest?.snapshotAt ?? null,
    damagedCount: damaged.length,
    damaged: damaged.slice(0, MAX_DAMAGED),
  };
}

async function readBack(bucket: Bucket, ref: BackupRef): Promise<string | undefined> {
  try {
    await readCopy(bucket, offsiteOf(ref));
    return undefined;
  } catch (error) {
    if (!isAboutOneCopy(error)) throw error;
    return (await hasManifest(bucket, offsiteOf(ref))) ? (error as Error).message : undefined;
  }
}
