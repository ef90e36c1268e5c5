import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { fail, mapError } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { newestFirst, readStore, type ListedBackup } from './backup-store';
import { holdFor, holdOf } from './holds';
import { openBucket } from './offsite/bucket';
import { markOffsite } from './offsite/mark-offsite';
import { HOLDS, readOffsite, type OffsiteBackup } from './offsite/offsite-store';
import { pruneOffsite } from './offsite/prune-offsite';
import { pruneStore } from './prune';
import { backupFolder, backupsFolder, PROVEN_FILE, purposeOf, readManifest, RELEASED_FILE } from './manifest';
import { readMark, writeMark, type Proof, type Release } from './marks';
import { withClient } from '../session/connection';
import { fenceSession } from '../session/fence';
import type { OnHost } from '../../../contract/hosts';
import { laterOf, timeOf } from '../../../contract/recovery-point';
import type { Fence, Place } from '../../../contract/place';
import type { BackupListEntry, BackupRef, Retained } from '../../../contract/backup';

/** On one host: of the one that is named, else of any. */
export type ListInput = Place &
  Partial<OnHost> & {
    only?: 'disk';
    /** A backup's ID, or a time: of very many, what it chooses is among those listed as well. */
    about?: string;
  };

/** On one host: where that backup lies, or of the one that is named, else of any. */
export type PruneInput = Place &
  Partial<OnHost> & { backupId?: string } & (
    { dryRun: true; fence?: never } | { dryRun: false; fence: Fence | null }
  );

export function createBackupsActivities(deps: ActivityDeps) {
  return {
    /**
     * Backups of an environment, newest first; damaged ones last with `complete: false`. Of very many the newest: the
     * answer goes into a history. Those on this worker's disk and the copies off site; with `only`, not those. Reads only.
     * Throws OffsiteFailed.
     */
    async listBackups({ service, environment, only, about }: ListInput): Promise<BackupListEntry[]> {
      const { signal } = currentActivity();
      const first = { phase: 'list the backups', done: 0, total: 0, unit: 'backups' } as const;
      return withProgress(first, async (report) => {
        const onDisk = await readStore(backupsFolder(deps, service, environment), (done, total) => {
          signal.throwIfAborted();
          report({ done, total });
        });
        const bucket = only === 'disk' ? undefined : openBucket(deps, service);
        if (bucket === undefined) return bounded(onDisk.backups, about).map(withoutFolder);
        try {
          report({ phase: 'list the copies off site' });
          const offsite = await readOffsite(bucket, service, environment);
          return bounded(merge(onDisk.backups, offsite.backups), about).map(withoutFolder);
        } finally {
          bucket.close();
        }
      });
    },

    /**
     * Records that a restore of this backup matched its manifest, on the disk and beside the copy off site, where that can be
     * reached. Safe to repeat: the file is replaced in one step. Throws BackupIncomplete and BackupCorrupt.
     */
    async markBackupProven(ref: BackupRef): Promise<{ provenAt: string; detail: string }> {
      const folder = backupFolder(deps, ref.service, ref.environment, ref.backupId);
      const { sha256 } = await readManifest(folder);
      const provenAt = new Date().toISOString();
      // It names the manifest it is about: the proof of another backup is none of this one.
      const proof: Proof = { provenAt, manifestSha256: sha256 };
      try {
        await writeMark(folder, PROVEN_FILE, proof);
      } catch (error) {
        throw mapError(error, { action: 'record the proof', target: folder });
      }
      const missed = await markOffsite(deps, ref, PROVEN_FILE, JSON.stringify(proof)).then(
        () => '',
        (error: Error) => `; not beside the copy off site: ${error.message}`,
      );
      return { provenAt, detail: `proven ${provenAt}${missed}` };
    },

    /**
     * Lets go of a safety backup: the next retention deletes it. A second release changes nothing.
     * Throws InvalidInput for a backup of another purpose, BackupIncomplete and BackupCorrupt.
     */
    async releaseBackup({
      service,
      environment,
      backupId,
      by,
    }: BackupRef & { by: string }): Promise<{ releasedAt: string; by: string }> {
      const folder = backupFolder(deps, service, environment, backupId);
      const { manifest, sha256 } = await readManifest(folder);
      if (purposeOf(manifest) !== 'safety') {
        throw fail(
          'InvalidInput',
          `${backupId} of ${service}/${environment} is no safety backup: the retention decides about it. Nothing was changed.`,
        );
      }
      try {
        const before = await readMark<Release>(folder, RELEASED_FILE);
        const release = before ?? { releasedAt: new Date().toISOString(), by, manifestSha256: sha256 };
        if (before === undefined) await writeMark(folder, RELEASED_FILE, release);
        return { releasedAt: release.releasedAt, by: release.by };
      } catch (error) {
        throw mapError(error, { action: 'release the backup', target: folder });
      }
    },

    /**
     * Keeps a backup from the retention for as long as the run of this activity runs, on the disk and off site. Safe to
     * repeat. Throws BackupIncomplete where it is neither, and OffsiteFailed where it is not on the disk.
     */
    async holdBackup(ref: BackupRef): Promise<void> {
      const folder = backupFolder(deps, ref.service, ref.environment, ref.backupId);
      const { name, text } = holdOf();
      const onDisk = await holdFor(folder).catch((error: unknown) => {
        const context = { action: 'hold the backup', target: folder, type: 'BackupIncomplete' } as const;
        return mapError(error, context);
      });
      const offsite = await markOffsite(deps, ref, `${HOLDS}${name}`, text).catch((error: Error) => error);
      if (onDisk === undefined || offsite === true) return;
      throw offsite === false ? onDisk : offsite;
    },

    /**
     * Deletes the backups that the retention (`backups.keep`, `backups.retention`) no longer asks for, and old leftovers,
     * on this worker's disk and off site. Never the last proven one nor one that an open run has chosen, and nothing at all while the folder holds anything
     * that is not understood. Safe to repeat. Throws BackupCorrupt (ambiguous folder), InvalidInput (more than
     * `maxDestructive` at once) and StaleFencingToken.
     */
    async pruneBackups({ service, environment, dryRun, fence }: PruneInput): Promise<Retained> {
      const folder = backupsFolder(deps, service, environment);
      const { backups, maxDestructive } = serviceOf(deps.config, service);
      const retention = { keep: backups?.keep ?? 1, ...NO_PERIODS, ...backups?.retention };
      try {
        return await withProgress({ phase: 'retention', done: 0, total: 1, unit: 'bytes' }, async () => {
          if (fence != null) await enter(deps, { service, environment }, fence);
          const options = { retention, maxDestructive, dryRun, client: deps.client };
          const pruned = await pruneStore(folder, options);
          const bucket = backups?.offsite?.prune === false ? undefined : openBucket(deps, service);
          if (bucket === undefined) return pruned;
          try {
            return { ...pruned, offsite: await pruneOffsite(bucket, { service, environment }, options) };
          } finally {
            bucket.close();
          }
        });
      } catch (error) {
        throw mapError(error, { action: 'apply the retention', target: folder });
      }
    },
  };
}

const NO_PERIODS = { daily: 0, weekly: 0, monthly: 0 };

/** Files keep no fence, so the one in the database that they are of is taken right before. */
async function enter(deps: ActivityDeps, place: Place, fence: Fence): Promise<void> {
  await withClient(deps, { kind: 'service', ...place }, (client) => fenceSession(client, fence), {
    identity: true,
    action: 'take the fence before the retention is applied',
  });
}

const MAX_LISTED = 450;
const MAX_LISTED_DAMAGED = 50;

/** A copy off site under the same manifest is the same backup. Of another one the disk's is the one that is listed. */
function merge(onDisk: ListedBackup[], offsite: OffsiteBackup[]): ListedBackup[] {
  const copies = new Map(offsite.map(({ listed }) => [listed.backupId, listed]));
  const both = onDisk.map((backup): ListedBackup => {
    const copy = copies.get(backup.backupId);
    copies.delete(backup.backupId);
    if (copy === undefined || !copy.complete) return backup;
    if (!backup.complete) return copy;
    if (copy.manifestSha256 !== backup.manifestSha256) return backup;
    return { ...backup, where: ['disk', 'offsite'], provenAt: laterOf(backup.provenAt, copy.provenAt) };
  });
  return [...both, ...copies.values()].sort(newestFirst);
}

function bounded(backups: ListedBackup[], about?: string): ListedBackup[] {
  const whole = backups.filter(({ complete }) => complete);
  const damaged = backups.filter(({ complete }) => !complete);
  const listed = [...whole.slice(0, MAX_LISTED), ...damaged.slice(0, MAX_LISTED_DAMAGED)];
  if (about === undefined) return listed;
  const time = timeOf(about);
  const wanted =
    backups.find(({ backupId }) => backupId === about) ??
    (time === undefined
      ? undefined
      : whole.find(({ purpose, snapshotAt }) => purpose !== 'safety' && snapshotAt <= time));
  return wanted === undefined || listed.includes(wanted) ? listed : [...listed, wanted];
}

function withoutFolder(listed: ListedBackup): BackupListEntry {
  // Paths of the worker's disk are nobody's business in a history.
  const { folder: _folder, compression: _compression, ...entry } = listed;
  return entry;
}
