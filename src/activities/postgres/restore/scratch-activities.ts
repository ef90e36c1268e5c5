import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { serviceOf } from '../../../config/load';
import { LockHeld, withFileLock } from '../../../host/file-lock';
import { runningCluster, startCluster, stopCluster } from '../../../host/postgres';
import type { ActivityDeps } from '../../support/deps';
import { fail, mapError } from '../../support/failure';
import { needFree } from '../../support/disk';
import { currentActivity, withProgress } from '../../support/heartbeat';
import { newestComplete } from '../backups/backup-store';
import { backupFolder, backupsFolder, readManifest } from '../backups/manifest';
import {
  findScratch,
  readScratchMark,
  scratchBases,
  scratchFolder,
  SCRATCH_MARK_FILE,
  type ScratchMark,
} from '../session/scratch-files';
import { cloneInCluster } from './clone-in-cluster';
import { disposableSettings } from './scratch-settings';
import { sweepWorkspaces } from '../../support/workspace';
import { findServer, openTools } from '../session/tools';
import type { DatabaseRef } from '../../../contract/place';

export interface ScratchInfo {
  scratch: string;
  /** Where it lies on the disk of its host. */
  directory: string;
  major: number;
  expiresAt: string;
  /** Found running from an earlier attempt, with what it holds. */
  reused: boolean;
}

export interface OpenInput {
  /** Key of the cluster: the same key is the same cluster. */
  scratch: string;
  service: string;
  environment: string;
  /** The backup that is to be restored there: the server is of its major version. Absent: of the newest one. */
  backupId?: string;
  /** Major version of the server instead, e.g. 15. */
  major?: number;
}

const CLUSTER_FOLDER = 'cluster';

export function createScratchActivities(deps: ActivityDeps) {
  return {
    /**
     * Opens a disposable cluster with durability off, of the major version of the backup that is to be restored
     * there. Never for anything that is to be kept. Its folder follows from the key and it outlives the worker, so a retry on the same
     * host finds it as it was; one attempt at a time works there. Throws CommandFailed (no server programs, does not
     * start; retryable: another attempt is still at work), TargetNotOurs, OutOfDisk, BackupIncomplete and BackupCorrupt
     * (of that backup).
     */
    async openScratch(input: OpenInput): Promise<ScratchInfo> {
      const directory =
        findScratch(deps.config, input.scratch) ??
        join(scratchBases(deps.config, input.service)[0]!, scratchFolder(input.scratch));
      try {
        return await withProgress(
          { phase: 'start a disposable cluster', done: 0, total: 1, unit: 'tables' },
          () => alone(directory, () => openScratch(deps, directory, input)),
        );
      } catch (error) {
        const context = { action: 'open a disposable cluster', target: input.scratch };
        throw stillBusy(error) ? again(context, error) : mapError(error, context);
      }
    },

    /** Stops and removes a cluster that carries our mark; one that is already gone is fine. Throws TargetNotOurs. */
    async dropScratch({ scratch }: { scratch: string }): Promise<{ dropped: boolean }> {
      const bases = scratchBases(deps.config).map((base) => join(base, scratchFolder(scratch)));
      let dropped = false;
      for (const directory of bases) {
        if (existsSync(directory))
          dropped = (await alone(directory, () => dropDirectory(deps, directory, scratch))) || dropped;
      }
      return { dropped };
    },

    /** Removes every cluster of ours whose time is over, and temporary folders of killed workers. Safe to repeat: it goes by marks. */
    async sweepScratch(): Promise<{ dropped: string[] }> {
      const dropped: string[] = [];
      await sweepWorkspaces();
      for (const base of scratchBases(deps.config)) {
        for (const name of await readdir(base).catch(() => [] as string[])) {
          const directory = join(base, name);
          const mark = readScratchMark(directory);
          if (mark === undefined || Date.parse(mark.expiresAt) > Date.now()) continue;
          if (await alone(directory, () => dropDirectory(deps, directory, mark.scratch)))
            dropped.push(mark.scratch);
        }
      }
      return { dropped };
    },

    /**
     * Copies a database inside a disposable cluster by copying its files. Safe to retry: an earlier copy of that name
     * is replaced. Throws InvalidInput for databases that are not in one disposable cluster.
     */
    async cloneDatabase({
      from,
      to,
    }: {
      from: DatabaseRef;
      to: DatabaseRef;
    }): Promise<{ durationMs: number; sizeBytes: number }> {
      if (
        from.kind !== 'scratch' ||
        to.kind !== 'scratch' ||
        from.scratch !== to.scratch ||
        from.database === to.database
      ) {
        throw fail(
          'InvalidInput',
          'Only a database of a disposable cluster can be cloned, into another one of the same cluster.',
        );
      }
      const startedAt = Date.now();
      const sizeBytes = await withProgress({ phase: 'clone', done: 0, total: 1, unit: 'tables' }, () =>
        cloneInCluster(deps, from, to),
      );
      return { durationMs: Date.now() - startedAt, sizeBytes };
    },
  };
}

/** How long an attempt waits for another one that opens or drops the same cluster. */
const WAIT_MS = 60_000;

/** Only one at a time changes what is in that folder: an attempt that was given up may still be at work there. */
async function alone<T>(directory: string, body: () => Promise<T>): Promise<T> {
  const { signal } = currentActivity();
  await mkdir(dirname(directory), { recursive: true, mode: 0o755 });
  try {
    return await withFileLock(`${directory}.lock`, { waitMs: WAIT_MS, signal }, body);
  } catch (error) {
    if (!(error instanceof LockHeld)) throw error;
    throw fail(
      'CommandFailed',
      `${directory} is being opened or dropped by process ${error.pid}. This is tried again.`,
      {
        retryable: true,
      },
    );
  }
}

/** Of a folder in which the programs of a killed worker have not ended yet: they finish, or fail, by themselves. */
function stillBusy(error: unknown): error is NodeJS.ErrnoException {
  const { code = '' } = error as NodeJS.ErrnoException;
  return ['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY', '28P01'].includes(code);
}

function again({ action, target }: { action: string; target: string }, error: Error): Error {
  return fail('CommandFailed', `Could not ${action} on ${target}: ${error.message}. This is tried again.`, {
    retryable: true,
  });
}

async function openScratch(deps: ActivityDeps, directory: string, input: OpenInput): Promise<ScratchInfo> {
  const existing = readScratchMark(directory);
  if (existing !== undefined && existing.scratch === input.scratch && existing.url !== '') {
    const binDirectory = await findServer(deps, existing.major);
    // One that runs and does not answer at this moment may be in use: only a dead one is replaced.
    if ((await runningCluster(join(directory, CLUSTER_FOLDER), binDirectory)) !== undefined)
      return {
        scratch: input.scratch,
        directory,
        major: existing.major,
        expiresAt: existing.expiresAt,
        reused: true,
      };
  }
  // Not running means that it may have gone down with the host, and without durability such files are worth nothing.
  if (existing !== undefined) await dropDirectory(deps, directory, input.scratch);
  const left = await readdir(directory).catch(() => []);
  if (left.length > 0) {
    throw fail(
      'TargetNotOurs',
      `${directory} exists and carries no mark of ours. Nothing was changed. Look at it and move it away.`,
    );
  }
  const { major, bytes } = await whatItIsFor(deps, input);
  await needFree(dirname(directory), bytes * ROOM, `A copy of ${input.service}/${input.environment}`);
  const binDirectory = await findServer(deps, major);
  const mark = await createCluster(deps, directory, binDirectory, { ...input, major });
  if (currentActivity().signal.aborted) {
    // Given up meanwhile: its successor opens another one, or nobody needs one any longer.
    await dropDirectory(deps, directory, input.scratch);
    currentActivity().signal.throwIfAborted();
  }
  return { scratch: input.scratch, directory, major, expiresAt: mark.expiresAt, reused: false };
}

/** A restored database is about as big as its source was, and needs a little to sort and to rewrite. */
const ROOM = 1.2;

/** Version and size of what is to be restored there, as far as it is known. */
async function whatItIsFor(
  deps: ActivityDeps,
  { service, environment, backupId, major }: OpenInput,
): Promise<{ major: number; bytes: number }> {
  const manifest =
    backupId !== undefined
      ? // After an upgrade of the server the newest backup is of another version than those before it.
        (await readManifest(backupFolder(deps, service, environment, backupId))).manifest
      : major === undefined && serviceOf(deps.config, service).backups !== undefined
        ? await newestComplete(backupsFolder(deps, service, environment))
        : undefined;
  const own = manifest === undefined ? undefined : Math.floor(manifest.serverVersionNum / 10_000);
  return {
    major: major ?? own ?? (await openTools(deps)).major,
    bytes: manifest?.databaseBytes ?? 0,
  };
}

/** The mark lies there before anything else does: what an interrupted set-up leaves is recognised as ours. */
async function createCluster(
  deps: ActivityDeps,
  directory: string,
  binDirectory: string,
  input: OpenInput & { major: number },
): Promise<ScratchMark> {
  const ttlMs = serviceOf(deps.config, input.service).restore.scratchTtlHours * 3_600_000;
  const mark: ScratchMark = {
    by: 'durable-runbooks',
    scratch: input.scratch,
    service: input.service,
    environment: input.environment,
    createdAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + ttlMs).toISOString(),
    major: input.major,
    url: '',
    systemIdentifier: '',
  };
  await mkdir(dirname(directory), { recursive: true, mode: 0o755 });
  await mkdir(directory, { recursive: true });
  // The user of the server goes through it and sees nothing of it; only the worker may read the mark.
  await chmod(directory, 0o711);
  await writeMark(directory, mark);
  // A daemon: it must survive the worker, because a retry goes on with what it holds.
  const { url, systemIdentifier } = await startCluster({
    directory: join(directory, CLUSTER_FOLDER),
    binDirectory,
    durable: false,
    settings: disposableSettings(),
  });
  const complete = { ...mark, url, systemIdentifier };
  await writeMark(directory, complete);
  return complete;
}

/** Written beside and renamed, so that a reader never sees half of it. Only the worker may read the password. */
async function writeMark(directory: string, mark: ScratchMark): Promise<void> {
  const path = join(directory, SCRATCH_MARK_FILE);
  await writeFile(`${path}.new`, JSON.stringify(mark, null, 1), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}

async function dropDirectory(deps: ActivityDeps, directory: string, key: string): Promise<boolean> {
  const left = await readdir(directory).catch(() => undefined);
  if (left === undefined) return false;
  const mark = readScratchMark(directory);
  if (mark === undefined || mark.scratch !== key) {
    throw fail('TargetNotOurs', `${directory} does not carry our mark of "${key}". Nothing was removed.`);
  }
  await stopCluster(join(directory, CLUSTER_FOLDER), {
    binDirectory: await findServer(deps, mark.major),
    mode: 'immediate',
  });
  // The mark goes last: what an interrupted removal leaves must still be recognised as ours.
  await rm(join(directory, CLUSTER_FOLDER), { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  await rm(directory, { recursive: true, force: true });
  return true;
}
