import { createHash } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { endpointOf, libpqOf } from '../session/endpoint';
import { fail, mapError } from '../../support/failure';
import { needFree } from '../../support/disk';
import { applicationName, currentActivity, withProgress } from '../../support/heartbeat';
import { checkCompleteness, checkNotEmpty, hasRows, listDumpContents } from './completeness';
import { dumpSnapshot, type DumpOutcome } from './dump';
import { newestComplete } from './backup-store';
import { hashFiles } from './hashing';
import { holdFor } from './holds';
import { shrunkSince } from './shrunk';
import {
  backupFolder,
  backupsFolder,
  DATA_FOLDER,
  filesBelow,
  MANIFEST_FILE,
  MANIFEST_HASH_FILE,
  readManifest,
  summaryOf,
  syncPath,
  type FileEntry,
  type Manifest,
} from './manifest';
import { partialOf, preparePartial, publishPartial } from './partial';
import { openTools, requireCompression, runTool, type Tools } from '../session/tools';
import { withClient } from '../session/connection';
import { keepFence } from '../session/fence';
import { inTransaction } from '../session/transaction';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import type { BackupRef, BackupSummary } from '../../../contract/backup';

/** The same `backupId` is the same backup. */
export interface BackUpInput extends BackupRef {
  fence: Fence | null;
  /**
   * Of what is about to be replaced, whatever is left of it: what cannot be read is left out and named, nothing is too
   * small, and the database is not written to. Labelled, so that nothing takes it for a recovery point.
   */
  safety?: boolean;
  /** Before a first migration there may be no table, or no row; not where the backup before it had rows. */
  mayBeEmpty?: boolean;
}

export function createBackupActivities(deps: ActivityDeps) {
  return {
    /**
     * Makes a logical backup with a manifest: the dump and every row count come from one exported snapshot.
     * Safe to retry: a finished backup of that ID is returned, the leftovers of earlier attempts are ended and removed.
     * A backup is complete only under its final name; until then it is `<id>.<attempt>.partial`, and an attempt that was
     * given up and wakes up again neither publishes nor removes anything but its own.
     * Throws WrongDatabase, ClientTooOld, BackupIncomplete, OutOfDisk, StaleFencingToken, LockTimeout, DatabaseUnreachable.
     */
    async backUp(input: BackUpInput): Promise<BackupSummary> {
      const folder = backupFolder(deps, input.service, input.environment, input.backupId);
      const finished = await finishedBackup(folder);
      if (finished !== undefined) return finished;
      const partial = partialOf(folder);
      const startedAt = Date.now();
      try {
        const tools = await openTools(deps);
        requireCompression(serviceOf(deps.config, input.service).backups?.compression ?? 1, tools);
        return await withProgress({ phase: 'prepare', done: 0, total: 0, unit: 'bytes' }, async () => {
          const outcome = await dumpSnapshot(deps, tools, input, async (databaseBytes) => {
            await needRoom(deps, input, databaseBytes);
            return preparePartial(folder);
          });
          const manifest = await finish(deps, tools, input, partial, outcome, startedAt);
          await holdFor(partial);
          if (input.fence !== null && input.safety !== true) await stillOurs(deps, input, input.fence);
          return publish(partial, folder, manifest);
        });
      } catch (error) {
        // Half a backup is worth nothing and fills the disk; after a kill the next attempt, or the retention, does this.
        await rm(partial, { recursive: true, force: true }).catch(() => undefined);
        throw mapError(error, {
          action: 'back up',
          target: `${input.service}/${input.environment}`,
          type: 'BackupIncomplete',
        });
      }
    },
  };
}

async function finishedBackup(folder: string): Promise<BackupSummary | undefined> {
  try {
    const { manifest, sha256 } = await readManifest(folder);
    return summaryOf(manifest, sha256);
  } catch (error) {
    // Never overwrite what claims to be a backup and is damaged: that is for a person to look at.
    if ((error as { type?: string }).type === 'BackupCorrupt') throw error;
    return undefined;
  }
}

/** A database grows slowly, and no dump of it is bigger than itself. */
const ROOM = 1.2;

async function needRoom(deps: ActivityDeps, input: BackUpInput, databaseBytes: number): Promise<void> {
  const folder = backupsFolder(deps, input.service, input.environment);
  const previous = await newestComplete(folder, input.backupId);
  const needed = Math.min(databaseBytes, (previous?.sizeBytes ?? Infinity) * ROOM);
  await needFree(folder, needed, `A backup of ${input.service}/${input.environment}`);
}

/** Hashes and syncs what was written, lists it, judges it, and puts the manifest together. */
async function finish(
  deps: ActivityDeps,
  tools: Tools,
  input: BackUpInput,
  partial: string,
  outcome: DumpOutcome,
  startedAt: number,
): Promise<Manifest> {
  const { backups, canary } = serviceOf(deps.config, input.service);
  const globals = await dumpGlobals(deps, tools, input, partial);
  const [files, contents] = await Promise.all([
    hashAndSync(partial, backups?.jobs ?? 2),
    listDumpContents(tools, join(partial, DATA_FOLDER)),
  ]);
  const previous = await newestComplete(
    backupsFolder(deps, input.service, input.environment),
    input.backupId,
  );
  const before = previous === undefined ? undefined : (await readManifest(previous.folder)).manifest;
  const shrunk = before === undefined ? undefined : shrunkSince(before, outcome.tables);
  const manifest: Manifest = {
    format: 1,
    previousSnapshotAt: previous?.snapshotAt ?? null,
    dumpVersion: tools.version,
    compression: backups?.compression ?? 1,
    durationMs: Date.now() - startedAt,
    sizeBytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    ...outcome,
    ...(input.safety === true ? { purpose: 'safety' as const } : {}),
    canary: canary.enabled ? outcome.canary : null,
    globals,
    tocEntries: contents.entries,
    ...(shrunk === undefined ? {} : { shrunk }),
    files,
  };
  if (input.safety === true) return manifest;
  if (input.mayBeEmpty !== true || (before !== undefined && hasRows(before))) checkNotEmpty(manifest);
  checkCompleteness(manifest, contents, previous, backups?.minSizeRatio ?? 0);
  return manifest;
}

/** Roles with memberships and settings, without passwords; not every role may read them. */
async function dumpGlobals(
  deps: ActivityDeps,
  tools: Tools,
  input: BackUpInput,
  partial: string,
): Promise<Manifest['globals']> {
  const endpoint = endpointOf(deps, databaseIn(input));
  const { url, environment } = libpqOf(endpoint);
  const args = [
    '--globals-only',
    '--no-role-passwords',
    '--no-sync',
    `--dbname=${url}`,
    `--database=${endpoint.database}`,
  ];
  const path = join(partial, 'globals.sql');
  const result = await runTool(tools, 'pg_dumpall', [...args, `--file=${path}`], { environment });
  if (result.exitCode === 0) return { included: true, note: '' };
  await rm(path, { force: true });
  const failure = mapError(new Error(result.why), { action: 'dump the roles', target: endpoint.label });
  // A server that went away says nothing about what the role may read.
  if ((failure as { type?: string }).type === 'DatabaseUnreachable') throw failure;
  return {
    included: false,
    note: `pg_dumpall --globals-only failed, roles are kept by name only: ${result.why}`,
  };
}

/** Hashing reads from memory while the same files go to the disk. */
async function hashAndSync(partial: string, jobs: number): Promise<FileEntry[]> {
  const paths = await filesBelow(partial);
  return withProgress({ phase: 'checksums', done: 0, total: 0, unit: 'bytes' }, async (report) => {
    const syncing = Promise.all(paths.map((path) => syncPath(join(partial, path))));
    syncing.catch(() => undefined);
    const files = await hashFiles(partial, paths, {
      jobs,
      signal: currentActivity().signal,
      onBytes: (done) => report({ done }),
    });
    await syncing;
    return files;
  });
}

/** Between the dump and its name hours may have passed. Throws StaleFencingToken where somebody else has taken over. */
async function stillOurs(deps: ActivityDeps, place: Place, fence: Fence): Promise<void> {
  const keep = (client: Client) => inTransaction(client, () => keepFence(client, fence, applicationName()));
  await withClient(deps, databaseIn(place), keep, { identity: true, action: 'look at the fence' }).catch(
    (error: unknown) => {
      // A server that went away since takes nothing from a dump that is whole.
      if ((error as { type?: string }).type !== 'DatabaseUnreachable') throw error;
    },
  );
}

async function publish(partial: string, folder: string, manifest: Manifest): Promise<BackupSummary> {
  const text = `${JSON.stringify(manifest, null, 1)}\n`;
  const sha256 = createHash('sha256').update(text).digest('hex');
  const written = { [MANIFEST_FILE]: text, [MANIFEST_HASH_FILE]: `${sha256}\n` };
  for (const [name, content] of Object.entries(written)) {
    await writeFile(join(partial, name), content, { mode: 0o600, flush: true });
  }
  await syncPath(join(partial, DATA_FOLDER));
  if (!(await publishPartial(folder, folder))) return publishedBy(folder, partial);
  return summaryOf(manifest, sha256);
}

/** Another attempt was faster: its backup is the one. What else is there is for a person to look at. */
async function publishedBy(folder: string, partial: string): Promise<BackupSummary> {
  const finished = await finishedBackup(folder);
  if (finished === undefined) {
    throw fail(
      'BackupIncomplete',
      `${folder} exists and is no complete backup. Look at it, move it away, then start again.`,
    );
  }
  await rm(partial, { recursive: true, force: true });
  return finished;
}
