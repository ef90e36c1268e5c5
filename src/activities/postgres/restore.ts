import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { escapeIdentifier, type Client } from 'pg';
import { serviceOf } from '../../config/load';
import type { ActivityDeps } from '../deps';
import { terminateEarlierAttempts, withClient } from '../support/connection';
import { endpointOf, libpqOf } from '../support/endpoint';
import { fail, mapError } from '../support/failure';
import { currentActivity, withProgress } from '../support/heartbeat';
import type { DatabaseMark } from '../support/identity';
import type { DatabaseRef, Fence, RestoreResult } from '../types';
import { verifyFiles } from './backup-verify';
import { fenceSession } from './fencing';
import { backupFolder, dataFolder, readManifest, type Manifest } from './manifest';
import { findDatabase, lockTarget } from './marks';
import { bumpSequences, copyFence } from './restore-live';
import {
  applyProperties,
  checkExtensions,
  clearTarget,
  copyName,
  createRoles,
  createTarget,
  maintenanceOf,
} from './restore-target';
import { openTools, requireMajor, runTool, type Tools } from './tools';

export interface RestoreInput {
  service: string;
  environment: string;
  backupId: string;
  /** A database in a disposable cluster, or one beside the live one (with `database`). */
  into: DatabaseRef;
  fence: Fence | null;
  /** The files were verified a moment ago in the same run: do not read them all again. */
  verified?: boolean;
}

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

interface RestoreRun {
  deps: ActivityDeps;
  tools: Tools;
  input: RestoreInput;
  name: string;
  folder: string;
  manifest: Manifest;
  /** Session in the maintenance database; holds the lock of the target for as long as the restore takes. */
  client: Client;
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
  const left = new Set(disposable ? neverInScratch : []);
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

/** Not restored into a disposable cluster: it runs jobs by itself and needs to be preloaded. */
const neverInScratch = ['pg_cron'];

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

async function load(run: RestoreRun, left: Set<string>): Promise<void> {
  const { deps, tools, input, manifest, folder } = run;
  const data = join(folder, dataFolder);
  const workspace = await mkdtemp(join(tmpdir(), 'durable-runbooks-'));
  try {
    const list = join(workspace, 'list');
    await writeFile(list, await chosenEntries(run, data, left));
    const endpoint = endpointOf(deps, input.into);
    const { url, environment } = libpqOf(endpoint);
    const jobs = serviceOf(deps.config, input.service).backups?.jobs ?? 2;
    const args = [
      '--exit-on-error',
      '--verbose',
      '--no-subscriptions',
      `--jobs=${jobs}`,
      `--use-list=${list}`,
      `--dbname=${url}`,
      data,
    ];
    const total = manifest.tables.length;
    let done = 0;
    await withProgress({ phase: 'restore', done, total, unit: 'tables' }, async (report) => {
      const onLine = (line: string): void => {
        const started = /processing data for table "(.+)"/.exec(line)?.[1];
        if (started !== undefined) report({ table: started });
        if (/finished item \d+ TABLE DATA/.test(line)) report({ done: (done += 1) });
      };
      const result = await runTool(tools, 'pg_restore', args, {
        environment: { ...environment, PGOPTIONS: restoreOptions },
        onLine,
      });
      if (result.exitCode === 0) return;
      throw mapError(new Error(result.why), {
        action: 'restore',
        target: endpoint.label,
        type: 'RestoreFailed',
      });
    });
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
}

/** The commits of single objects need not wait for the disk: the last one, which makes the copy usable, does. */
const restoreOptions =
  '-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 -c synchronous_commit=off ' +
  '-c client_connection_check_interval=2s -c maintenance_work_mem=256MB';

/** The dump's table of contents without what must not, or cannot, be restored there. */
async function chosenEntries(run: RestoreRun, data: string, left: Set<string>): Promise<string> {
  const listing = await runTool(run.tools, 'pg_restore', ['--list', data]);
  if (listing.exitCode !== 0)
    throw fail('BackupCorrupt', `The dump in ${data} cannot be listed: ${listing.why}.`);
  const { rows } = await run.client.query<{ superuser: boolean }>(
    'SELECT rolsuper AS superuser FROM pg_roles WHERE rolname = current_user',
  );
  const superuser = rows[0]?.superuser === true;
  const disposable = run.input.into.kind === 'scratch';
  const unwanted = (line: string): boolean =>
    // Belongs to the extension's owner, who is a superuser; the text is no loss.
    (!superuser && / COMMENT - EXTENSION /.test(line)) ||
    // With its mapping a foreign table of the copy would reach the real server behind it.
    (disposable && / USER MAPPING /.test(line)) ||
    [...left].some(
      (name) => line.includes(` EXTENSION - ${name} `) || line.includes(` COMMENT - EXTENSION ${name}`),
    ) ||
    (left.has('pg_cron') && / TABLE DATA cron /.test(line));
  return `${listing.stdout
    .split('\n')
    .filter((line) => !unwanted(line))
    .join('\n')}\n`;
}

/** What only a copy that may take over needs. Its commit is the durable one. */
async function makeReady(run: RestoreRun): Promise<void> {
  const { deps, tools, input, name, manifest, client } = run;
  await copyFence(deps, input.into);
  await bumpSequences(deps, input.into);
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
