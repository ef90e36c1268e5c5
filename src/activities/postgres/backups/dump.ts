import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import {
  openClient,
  terminateEarlierAttempts,
  withClient,
  type ConnectionOptions,
} from '../session/connection';
import { endpointOf, libpqOf } from '../session/endpoint';
import { mapError } from '../../support/failure';
import { applicationName, currentActivity, withProgress, type Progress } from '../../support/heartbeat';
import type { BackUpInput } from './take-backup';
import {
  countLargeObjects,
  countRows,
  listSequences,
  listTables,
  readCountersResetAt,
  readSurroundings,
  type CountableTable,
} from './inventory';
import { DATA_FOLDER, type Manifest, type TableEntry } from './manifest';
import { requireClientFor, runTool, type Tools } from '../session/tools';
import type { DatabaseRef } from '../../../contract/place';
import { fenceSession } from '../session/fence';

/** What one snapshot yields for the manifest. */
export type DumpOutcome = Omit<
  Manifest,
  | 'format'
  | 'previousSnapshotAt'
  | 'dumpVersion'
  | 'compression'
  | 'durationMs'
  | 'sizeBytes'
  | 'globals'
  | 'tocEntries'
  | 'files'
>;

/** How long pg_dump waits for a lock behind a migration before it gives up. */
const LOCK_WAIT_MS = 10_000;

const SNAPSHOT_OPTIONS: ConnectionOptions = {
  identity: true,
  // Without it a role that row security applies to would count, and dump, fewer rows and say nothing.
  allRows: true,
  statementTimeoutMs: 0,
  lockTimeoutMs: LOCK_WAIT_MS,
  // The snapshot lives as long as this transaction sits there.
  idleInTransactionTimeoutMs: 0,
  action: 'back up',
  type: 'BackupIncomplete',
};

/**
 * Exports a snapshot, dumps it with pg_dump into `<partial>/data` and counts every table in the same snapshot on
 * connections beside it. `prepare` is called once nobody else can still be writing there.
 */
export async function dumpSnapshot(
  deps: ActivityDeps,
  tools: Tools,
  input: BackUpInput,
  prepare: () => Promise<string>,
): Promise<DumpOutcome> {
  const ref: DatabaseRef = { kind: 'service', service: input.service, environment: input.environment };
  return withClient(
    deps,
    ref,
    async (holder) => {
      await requireClientFor(holder, tools);
      await terminateEarlierAttempts(holder);
      if (input.fence !== null) await fenceSession(holder, input.fence);
      const partial = await prepare();
      const exported = await exportSnapshot(holder);
      const surroundings = await readSurroundings(holder);
      const tables = await listTables(holder);
      const first: Progress = { phase: 'dump', done: 0, total: surroundings.databaseBytes, unit: 'bytes' };
      const counted = await withProgress(first, (report) =>
        dumpAndCount({ deps, tools, input, ref, partial, report, tables, snapshot: exported.snapshot }),
      );
      const outcome: DumpOutcome = {
        service: input.service,
        environment: input.environment,
        backupId: input.backupId,
        snapshotAt: exported.snapshotAt,
        lsn: exported.lsn,
        countersResetAt: exported.countersResetAt,
        sequences: exported.sequences,
        largeObjects: await countLargeObjects(holder),
        ...surroundings,
        tables: counted.map(({ table, rows }) => toEntry(table, rows, exported.counters)),
      };
      await holder.query('COMMIT');
      return outcome;
    },
    SNAPSHOT_OPTIONS,
  );
}

/** Counters and sequences move on whatever the snapshot; read before it, they can only overstate what was lost. */
async function exportSnapshot(holder: Client) {
  const counters = await listTables(holder);
  const sequences = await listSequences(holder);
  const countersResetAt = await readCountersResetAt(holder);
  const { rows: before } = await holder.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { rows } = await holder.query<{ snapshot: string; at: Date }>(
    'SELECT pg_export_snapshot() AS snapshot, now() AS at',
  );
  return {
    counters: new Map(counters.map((table) => [`${table.schema}.${table.name}`, table])),
    sequences,
    lsn: before[0]!.lsn,
    countersResetAt,
    snapshot: rows[0]!.snapshot,
    snapshotAt: rows[0]!.at.toISOString(),
  };
}

function toEntry(table: CountableTable, rows: number, counters: Map<string, CountableTable>): TableEntry {
  const counter = counters.get(`${table.schema}.${table.name}`);
  const { inserted = 0, updated = 0, deleted = 0 } = counter ?? {};
  return { schema: table.schema, name: table.name, rows, inserted, updated, deleted };
}

interface DumpRun {
  deps: ActivityDeps;
  tools: Tools;
  input: BackUpInput;
  ref: DatabaseRef;
  partial: string;
  snapshot: string;
  tables: CountableTable[];
  report: (changed: Partial<Progress>) => void;
}

async function dumpAndCount(run: DumpRun): Promise<{ table: CountableTable; rows: number }[]> {
  // Whichever fails first stops the other: a dump without counts is no backup.
  const either = new AbortController();
  const signal = AbortSignal.any([currentActivity().signal, either.signal]);
  const stopOther = (error: unknown): never => {
    either.abort(error);
    throw error;
  };
  const timer = setInterval(() => void bytesBelow(run.partial).then((done) => run.report({ done })), 1_000);
  try {
    const [, counted] = await Promise.all([
      runDump(run, signal).catch(stopOther),
      countTables(run, signal).catch(stopOther),
    ]);
    return counted;
  } catch (error) {
    if (currentActivity().signal.aborted) await endOwnSessions(run);
    throw either.signal.aborted && !currentActivity().signal.aborted ? either.signal.reason : error;
  } finally {
    clearInterval(timer);
  }
}

async function runDump(run: DumpRun, signal: AbortSignal): Promise<void> {
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
    '--exclude-table-data=durable_runbooks.fence',
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

async function countTables(
  run: DumpRun,
  signal: AbortSignal,
): Promise<{ table: CountableTable; rows: number }[]> {
  return withClient(
    run.deps,
    run.ref,
    async (client) => {
      await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      // Not a parameter: SET takes none. The ID was made by the server a moment ago.
      await client.query(`SET TRANSACTION SNAPSHOT '${run.snapshot.replace(/[^0-9A-Za-z-]/g, '')}'`);
      const counted = [];
      for (const table of run.tables) {
        signal.throwIfAborted();
        counted.push({ table, rows: await countRows(client, table) });
      }
      await client.query('COMMIT');
      return counted.sort((a, b) =>
        `${a.table.schema}.${a.table.name}` < `${b.table.schema}.${b.table.name}` ? -1 : 1,
      );
    },
    { ...SNAPSHOT_OPTIONS, action: 'count rows' },
  );
}

/** pg_dump was killed; its sessions may still be sending. The holder of the snapshot is ended by its own client. */
async function endOwnSessions(run: DumpRun): Promise<void> {
  const client = await openClient(endpointOf(run.deps, run.ref)).catch(() => undefined);
  await client
    ?.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()`,
      [applicationName()],
    )
    .catch(() => undefined);
  await client?.end().catch(() => undefined);
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
