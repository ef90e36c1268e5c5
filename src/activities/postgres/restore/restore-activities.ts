import type { Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { terminateEarlierAttempts, withClient } from '../session/connection';
import { isDamage } from '../session/damage';
import { endpointOf, libpqOf } from '../session/endpoint';
import { fail, mapError } from '../../support/failure';
import { applicationName, currentActivity, withProgress } from '../../support/heartbeat';
import type { DatabaseMark } from '../session/identity';
import { verifyFiles } from '../backups/verify-files';
import { backupFolder, readManifest, type Manifest } from '../backups/manifest';
import { attemptName, clearCopy, dropAttempts, dropDatabase, publishCopy } from './attempt-copy';
import { findDatabase, lockTarget } from './database-marks';
import { carrySequences, copyFence } from './carry-over';
import {
  applyProperties,
  checkExtensions,
  copyName,
  createRoles,
  createTarget,
  maintenanceOf,
} from './target';
import { takeLiveRights, type LiveRights } from './live-rights';
import { load, NEVER_IN_SCRATCH, type RestoreInput, type RestoreRun } from './load';
import { openTools, requireMajor, runTool } from '../session/tools';
import { databaseIn, type DatabaseRef, type Fence } from '../../../contract/place';
import type { RestoreResult } from '../../../contract/backup';
import { fenceMaintenance, fenceSession } from '../session/fence';

export function createRestoreActivities(deps: ActivityDeps) {
  return {
    /**
     * Restores a backup into a new database, which has its name only when it is whole. Safe to retry: every attempt works
     * in a database of its own, ends the sessions of earlier ones and drops what they left. Throws BackupCorrupt, BackupIncomplete, RestoreFailed,
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
        const restored = await withProgress(
          { phase: 'prepare', done: 0, total: 0, unit: 'tables' },
          async () => {
            if (input.verified !== true) await verifyFiles(folder, manifest);
            return withClient(
              deps,
              ref,
              (client) =>
                restore({
                  deps,
                  tools,
                  input,
                  name,
                  copy: copyOf(input.into, name),
                  folder,
                  manifest,
                  client,
                }),
              session,
            );
          },
        );
        return {
          database: input.into,
          backupId: input.backupId,
          durationMs: Date.now() - startedAt,
          ...restored,
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
        await dropAttempts(client, name, true);
        const existing = await findDatabase(client, name);
        if (existing === undefined) return { dropped: false };
        if (existing.mark === null && database.kind === 'service') {
          throw fail('TargetNotOurs', `Database "${name}" carries no mark of ours. It was not dropped.`);
        }
        await dropDatabase(client, name);
        return { dropped: true };
      };
      const session = { ...options, statementTimeoutMs: 0, lockTimeoutMs: 30_000, action: `drop ${name}` };
      return withProgress({ phase: 'drop', done: 0, total: 1, unit: 'tables' }, () =>
        withClient(deps, ref, drop, session),
      );
    },
  };
}

function copyOf(into: DatabaseRef, name: string): DatabaseRef {
  return { ...into, database: attemptName(name) };
}

/** Advisory lock and fence of the maintenance database: the copy has none yet. */
async function enter(client: Client, fence: Fence): Promise<void> {
  await lockTarget(client, fence.target);
  await fenceMaintenance(client, fence);
}

async function restore(run: RestoreRun): Promise<Pick<RestoreResult, 'sizeBytes' | 'remarks' | 'role'>> {
  const { deps, input, name, copy, manifest, client } = run;
  const disposable = input.into.kind === 'scratch';
  const own = attemptName(name);
  // Without a lease the order of the attempts still has to be kept.
  const fence = input.fence ?? { target: `copy ${name}`, token: 0 };
  await terminateEarlierAttempts(client);
  await enter(client, fence);
  const left = new Set(disposable ? NEVER_IN_SCRATCH : []);
  await checkExtensions(client, manifest, left);
  await clearCopy(client, name, disposable);
  await dropAttempts(client, name);
  await createRoles(client, manifest.roles, disposable);
  const rights = await rightsFor(run);
  try {
    await createCopy(run, rights);
    const remarks = await load({ ...run, ...(rights === undefined ? {} : { rights }) }, left);
    if (rights !== undefined) remarks.push(rights.remark);
    // Before anybody else can come in: a token of the past must not be good enough for the copy.
    const action = 'fence the copy';
    if (input.fence !== null)
      await withClient(deps, copy, (session) => fenceSession(session, input.fence!), { action });
    if (!disposable) remarks.push(...(await makeReady(run)));
    const { rows } = await client.query<{ bytes: string }>('SELECT pg_database_size($1)::text AS bytes', [
      own,
    ]);
    await publishCopy(client, name, fence);
    return {
      sizeBytes: Number(rows[0]?.bytes),
      ...(remarks.length > 0 ? { remarks } : {}),
      ...(rights?.role === undefined ? {} : { role: rights.role }),
    };
  } catch (error) {
    await dropHalf(run);
    throw error;
  }
}

async function rightsFor({ deps, input, client, manifest }: RestoreRun): Promise<LiveRights | undefined> {
  if (input.into.kind !== 'scratch' || input.liveRights !== true) return undefined;
  const { service, environment } = input;
  const { password } = new URL(endpointOf(deps, input.into).url);
  return takeLiveRights(deps, { service, environment }, { client, manifest, password });
}

/** The database itself, too, is made by whoever restores into it. */
async function createCopy(run: RestoreRun, rights: LiveRights | undefined): Promise<void> {
  const { deps, input, manifest } = run;
  const create = (client: Client) =>
    createTarget(client, attemptName(run.name), manifest, markFor(input, manifest));
  if (rights?.role === undefined) return create(run.client);
  const { ref, options } = maintenanceOf(deps, input.into);
  await withClient(deps, ref, create, {
    ...options,
    role: rights.role,
    statementTimeoutMs: 0,
    action: 'create the copy, as a restore over the live database would,',
    type: 'RestoreFailed',
  });
}

function markFor(input: RestoreInput, manifest: Manifest): DatabaseMark {
  return {
    by: 'durable-runbooks',
    kind: input.into.kind === 'scratch' ? 'drill' : 'restored',
    service: input.service,
    environment: input.environment,
    backupId: input.backupId,
    createdAt: new Date().toISOString(),
    holder: applicationName(),
    comment: manifest.properties.comment,
  };
}

/** What only a copy that may take over needs. Its commit is the durable one. */
async function makeReady(run: RestoreRun): Promise<string[]> {
  const { deps, tools, input, name, copy, manifest, client } = run;
  const remarks: string[] = [];
  const lost = (what: string): number =>
    remarks.push(`the ${what} of the live database cannot be read, and were not carried over`);
  const carry = <T>(what: string, work: Promise<T>): Promise<T | undefined> =>
    work.catch((error: unknown) => {
      // In the disaster that may be what was lost.
      if (!isDamage(error)) throw error;
      lost(what);
      return undefined;
    });
  if (input.withoutLive !== true && copy.kind === 'service') {
    await carry('fencing tokens', copyFence(deps, copy));
    const { unreadable = [] } =
      (await carry('sequences', carrySequences(deps, databaseIn(copy), copy))) ?? {};
    if (unreadable.length > 0) lost(`sequences ${unreadable.join(', ')}`);
  }
  const endpoint = endpointOf(deps, copy);
  const { url, environment } = libpqOf(endpoint);
  await withProgress(
    { phase: 'analyze', done: 0, total: manifest.tables.length, unit: 'tables' },
    async () => {
      const result = await runTool(
        tools,
        'vacuumdb',
        ['--analyze-only', '--jobs=2', '--quiet', `--dbname=${url}`],
        { environment },
      );
      if (result.exitCode !== 0) {
        const context = { action: `analyze ${name}`, target: endpoint.label, type: 'RestoreFailed' } as const;
        throw mapError(new Error(result.why), context);
      }
    },
  );
  await applyProperties(client, attemptName(name), manifest);
  return remarks;
}

/** After a failure or cancellation: half a copy only takes room. Best effort, a retry or a person does it otherwise. */
async function dropHalf(run: RestoreRun): Promise<void> {
  const { ref, options } = maintenanceOf(run.deps, run.input.into);
  await withClient(run.deps, ref, (client) => dropDatabase(client, attemptName(run.name)), {
    ...options,
    ignoreCancellation: true,
    statementTimeoutMs: currentActivity().signal.aborted ? 20_000 : 60_000,
  }).catch(() => undefined);
}

function describe(into: DatabaseRef): string {
  return into.kind === 'scratch'
    ? `disposable cluster ${into.scratch}`
    : `${into.service}/${into.environment}`;
}
