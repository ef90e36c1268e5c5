import { escapeIdentifier, type Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { terminateEarlierAttempts, withClient } from '../session/connection';
import { endpointOf, libpqOf } from '../session/endpoint';
import { fail, mapError } from '../../support/failure';
import { currentActivity, withProgress } from '../../support/heartbeat';
import type { DatabaseMark } from '../session/identity';
import { verifyFiles } from '../backups/verify-files';
import { backupFolder, readManifest, type Manifest } from '../backups/manifest';
import { findDatabase, lockTarget } from './database-marks';
import { carrySequences, copyFence } from './carry-over';
import {
  applyProperties,
  checkExtensions,
  clearTarget,
  copyName,
  createRoles,
  createTarget,
  maintenanceOf,
} from './target';
import { load, NEVER_IN_SCRATCH, type RestoreInput, type RestoreRun } from './load';
import { openTools, requireMajor, runTool } from '../session/tools';
import { databaseIn, type DatabaseRef, type Fence } from '../../../contract/place';
import type { RestoreResult } from '../../../contract/backup';
import { fenceSession } from '../session/fence';

export function createRestoreActivities(deps: ActivityDeps) {
  return {
    /**
     * Restores a backup into a new database. Safe to retry: sessions of earlier attempts are ended and what they left
     * under that name is dropped, if it carries our mark. Throws BackupCorrupt, BackupIncomplete, RestoreFailed,
     * TargetNotOurs, WrongDatabase, ClientTooOld, OutOfDisk, StaleFencingToken, DatabaseUnreachable.
     */
    async restoreBackup(input: RestoreInput): Promise<RestoreResult> {
      const name = copyName(deps, input.into);
      const startedAt = Date.now();
      const context = {
        action: `restore backup ${input.backupId} into ${name}`,
        target: describe(input.into),
        type: 'RestoreFailed',
      } as const;
      const folder = backupFolder(deps, input.service, input.environment, input.backupId);
      try {
        const { manifest } = await readManifest(folder);
        const tools = await openTools(deps);
        requireMajor(Math.floor(manifest.serverVersionNum / 10_000), tools);
        const { ref, options } = maintenanceOf(deps, input.into);
        const session = { ...options, ...context, statementTimeoutMs: 0, lockTimeoutMs: 30_000 };
        const sizeBytes = await withProgress(
          { phase: 'prepare', done: 0, total: 0, unit: 'tables' },
          async () => {
            if (input.verified !== true) await verifyFiles(folder, manifest);
            return withClient(
              deps,
              ref,
              (client) => restore({ deps, tools, input, name, folder, manifest, client }),
              session,
            );
          },
        );
        return {
          database: input.into,
          backupId: input.backupId,
          durationMs: Date.now() - startedAt,
          sizeBytes,
        };
      } catch (error) {
        throw mapError(error, context);
      }
    },

    /**
     * Drops a copy beside the live database, or in a disposable cluster; one that is gone is fine.
     * Throws TargetNotOurs where it carries no mark of ours.
     */
    async dropRestored({
      database,
      fence,
    }: {
      database: DatabaseRef;
      fence: Fence | null;
    }): Promise<{ dropped: boolean }> {
      const name = copyName(deps, database);
      const { ref, options } = maintenanceOf(deps, database);
      const drop = async (client: Client): Promise<{ dropped: boolean }> => {
        if (fence !== null && database.kind === 'service') await enter(client, fence);
        const existing = await findDatabase(client, name);
        if (existing === undefined) return { dropped: false };
        if (existing.mark === null && database.kind === 'service') {
          throw fail('TargetNotOurs', `Database "${name}" carries no mark of ours. It was not dropped.`);
        }
        await client.query(`DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`);
        return { dropped: true };
      };
      const session = { ...options, statementTimeoutMs: 0, lockTimeoutMs: 30_000, action: `drop ${name}` };
      return withProgress({ phase: 'drop', done: 0, total: 1, unit: 'tables' }, () =>
        withClient(deps, ref, drop, session),
      );
    },
  };
}

/** Advisory lock and fence of the maintenance database: the copy has none yet. */
async function enter(client: Client, fence: Fence): Promise<void> {
  await lockTarget(client, fence.target);
  await fenceSession(client, fence);
}

async function restore(run: RestoreRun): Promise<number> {
  const { deps, input, name, manifest, client } = run;
  const disposable = input.into.kind === 'scratch';
  await terminateEarlierAttempts(client);
  if (input.fence !== null && !disposable) await enter(client, input.fence);
  const left = new Set(disposable ? NEVER_IN_SCRATCH : []);
  await checkExtensions(client, manifest, left);
  await clearTarget(client, name, disposable);
  await createRoles(client, manifest.roles, disposable);
  await createTarget(client, name, manifest, markFor(input, manifest));
  try {
    await load(run, left);
    // Before anybody else can come in: a token of the past must not be good enough for the copy.
    const action = 'fence the copy';
    if (input.fence !== null)
      await withClient(deps, input.into, (copy) => fenceSession(copy, input.fence!), { action });
    if (!disposable) await makeReady(run);
    const { rows } = await client.query<{ bytes: string }>('SELECT pg_database_size($1)::text AS bytes', [
      name,
    ]);
    return Number(rows[0]?.bytes);
  } catch (error) {
    await dropHalf(run);
    throw error;
  }
}

function markFor(input: RestoreInput, manifest: Manifest): DatabaseMark {
  return {
    by: 'durable-runbooks',
    kind: input.into.kind === 'scratch' ? 'drill' : 'restored',
    service: input.service,
    environment: input.environment,
    backupId: input.backupId,
    createdAt: new Date().toISOString(),
    comment: manifest.properties.comment,
  };
}

/** What only a copy that may take over needs. Its commit is the durable one. */
async function makeReady(run: RestoreRun): Promise<void> {
  const { deps, tools, input, name, manifest, client } = run;
  if (input.withoutLive !== true && input.into.kind === 'service') {
    await copyFence(deps, input.into);
    await carrySequences(deps, databaseIn(input.into), input.into);
  }
  const { url, environment } = libpqOf(endpointOf(deps, input.into));
  await withProgress(
    { phase: 'analyze', done: 0, total: manifest.tables.length, unit: 'tables' },
    async () => {
      const result = await runTool(
        tools,
        'vacuumdb',
        ['--analyze-only', '--jobs=2', '--quiet', `--dbname=${url}`],
        { environment },
      );
      if (result.exitCode !== 0) throw fail('RestoreFailed', `ANALYZE of ${name} failed: ${result.why}.`);
    },
  );
  await applyProperties(client, name, manifest);
}

/** After a failure or cancellation: half a copy only takes room. Best effort, a retry or a person does it otherwise. */
async function dropHalf(run: RestoreRun): Promise<void> {
  const { ref, options } = maintenanceOf(run.deps, run.input.into);
  await withClient(
    run.deps,
    ref,
    (client) => clearTarget(client, run.name, run.input.into.kind === 'scratch'),
    {
      ...options,
      ignoreCancellation: true,
      statementTimeoutMs: currentActivity().signal.aborted ? 20_000 : 60_000,
    },
  ).catch(() => undefined);
}

function describe(into: DatabaseRef): string {
  return into.kind === 'scratch'
    ? `disposable cluster ${into.scratch}`
    : `${into.service}/${into.environment}`;
}
