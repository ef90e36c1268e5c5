import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { openClient } from '../session/connection';
import { endpointOf, libpqOf } from '../session/endpoint';
import { endNamedSessions } from '../session/own-sessions';
import { mapError } from '../../support/failure';
import { applicationName, currentActivity, type Progress } from '../../support/heartbeat';
import type { BackUpInput } from './take-backup';
import { quotedName, type CountableTable, type UnreadableSequence } from './inventory';
import { DATA_FOLDER } from './manifest';
import { runTool, type Tools } from '../session/tools';
import type { DatabaseRef } from '../../../contract/place';

/** How long pg_dump waits for a lock behind a migration before it gives up. */
export const LOCK_WAIT_MS = 10_000;

/** One dump of one exported snapshot. */
export interface DumpRun {
  deps: ActivityDeps;
  tools: Tools;
  input: BackUpInput;
  ref: DatabaseRef;
  partial: string;
  snapshot: string;
  tables: CountableTable[];
  /** Of a damaged database. */
  unreadable: UnreadableSequence[];
  report: (changed: Partial<Progress>) => void;
}

/** Among what cannot be read, beside tables. */
export const LARGE_OBJECTS = 'large objects';

/** Reports the growing dump while `body` runs; ends its sessions where that is cancelled. */
export async function watched<T>(run: DumpRun, body: () => Promise<T>): Promise<T> {
  const timer = setInterval(() => void bytesBelow(run.partial).then((done) => run.report({ done })), 1_000);
  try {
    return await body();
  } catch (error) {
    if (currentActivity().signal.aborted) await endOwnSessions(run);
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Runs pg_dump, without the tables and large objects of `unsaved`. Throws BackupIncomplete and what a session can throw. */
export async function runDump(
  run: DumpRun,
  signal: AbortSignal,
  unsaved: ReadonlyMap<string, string> = new Map(),
): Promise<void> {
  const { backups } = serviceOf(run.deps.config, run.input.service);
  const endpoint = endpointOf(run.deps, run.ref);
  const { url, environment } = libpqOf(endpoint);
  const args = [
    '--format=directory',
    `--file=${join(run.partial, DATA_FOLDER)}`,
    `--jobs=${backups?.jobs ?? 2}`,
    `--compress=${backups?.compression ?? 1}`,
    `--snapshot=${run.snapshot}`,
    `--lock-wait-timeout=${LOCK_WAIT_MS}`,
    // An old token restored would let a run pass that lost its lease long ago.
    '--exclude-table-data=durable_runbooks*.fence',
    ...(unsaved.has(LARGE_OBJECTS) ? ['--no-blobs'] : []),
    ...[...run.tables, ...run.unreadable]
      .filter(({ schema, name }) => unsaved.has(`${schema}.${name}`))
      .map((table) => `--exclude-table-data=${quotedName(table)}`),
    // Synced by us, while the checksums are computed.
    '--no-sync',
    '--verbose',
    `--dbname=${url}`,
  ];
  const onLine = (line: string): void => {
    const table = /dumping contents of table "(.+)"/.exec(line)?.[1];
    if (table !== undefined) run.report({ table });
  };
  const result = await runTool(run.tools, 'pg_dump', args, { environment, signal, onLine });
  if (result.exitCode !== 0) {
    throw mapError(new Error(result.why), {
      action: 'dump',
      target: endpoint.label,
      type: 'BackupIncomplete',
    });
  }
}

/** pg_dump was killed; its sessions may still be sending. The holder of the snapshot is ended by its own client. */
async function endOwnSessions(run: DumpRun): Promise<void> {
  const client = await openClient(endpointOf(run.deps, run.ref)).catch(() => undefined);
  if (client === undefined) return;
  await endNamedSessions(client, [applicationName()]).catch(() => undefined);
  await client.end().catch(() => undefined);
}

async function bytesBelow(folder: string): Promise<number> {
  try {
    const names = await readdir(join(folder, DATA_FOLDER));
    const sizes = await Promise.all(
      names.map((name) =>
        stat(join(folder, DATA_FOLDER, name)).then(
          ({ size }) => size,
          () => 0,
        ),
      ),
    );
    return sizes.reduce((sum, size) => sum + size, 0);
  } catch {
    return 0;
  }
}
