import type { ApplicationFailure } from '@temporalio/common';
import type { Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { terminateEarlierAttempts, withClient, type ConnectionOptions } from '../session/connection';
import { currentActivity, withProgress, type Progress } from '../../support/heartbeat';
import type { BackUpInput } from './take-backup';
import {
  countLargeObjects,
  listReadableSequences,
  listSequences,
  listTables,
  readCountersResetAt,
  readLargeObjectChanges,
  readWholeTables,
  readSurroundings,
  type CountableTable,
} from './inventory';
import type { Manifest, TableEntry } from './manifest';
import { LOCK_WAIT_MS, runDump, watched, type DumpRun } from './pg-dump';
import { saveWhatCanBeRead, type ReadSnapshot, type Saved } from './salvage';
import { requireClientFor, type Tools } from '../session/tools';
import { databaseIn } from '../../../contract/place';
import { fenceSession } from '../session/fence';
import { readCounted, type CountedTable } from './snapshot-contents';

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
  | 'shrunk'
>;

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
  prepare: (databaseBytes: number) => Promise<string>,
): Promise<DumpOutcome> {
  const ref = databaseIn(input);
  return withClient(
    deps,
    ref,
    async (holder) => {
      await requireClientFor(holder, tools);
      await terminateEarlierAttempts(holder);
      // What is being saved from a damaged database is not written to.
      if (input.fence !== null && input.safety !== true) await fenceSession(holder, input.fence);
      const partial = await prepare(await databaseSize(holder));
      const exported = await exportSnapshot(holder, input.safety === true);
      const surroundings = await readSurroundings(holder);
      const tables = await listTables(holder);
      const first: Progress = { phase: 'dump', done: 0, total: surroundings.databaseBytes, unit: 'bytes' };
      const { counted, unsaved } = await withProgress(first, (report) => {
        const { snapshot, unreadable } = exported;
        const run = { deps, tools, input, ref, partial, report, tables, snapshot, unreadable };
        return input.safety === true ? saveWhatCanBeRead(run, readSnapshot) : dumpAndCount(run);
      }).catch((error: unknown) => unlessItEnded(holder, error));
      const outcome: DumpOutcome = {
        service: input.service,
        environment: input.environment,
        backupId: input.backupId,
        snapshotAt: exported.snapshotAt,
        lsn: exported.lsn,
        countersResetAt: exported.countersResetAt,
        sequences: exported.sequences,
        largeObjectChanges: exported.largeObjectChanges,
        largeObjects: await countLargeObjects(holder),
        ...surroundings,
        ...counted.whole,
        tables: counted.tables.map((table) => toEntry(table, exported.counters)),
        ...(unsaved.length === 0 ? {} : { unsaved }),
      };
      await holder.query('COMMIT');
      return outcome;
    },
    SNAPSHOT_OPTIONS,
  );
}

/** A snapshot ends with its session, and whoever asks for it then hears that there is none: it is the session that was lost. */
async function unlessItEnded(holder: Client, error: unknown): Promise<never> {
  if ((error as Partial<ApplicationFailure>).nonRetryable === true) await holder.query('SELECT 1');
  throw error;
}

async function databaseSize(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    'SELECT pg_database_size(current_database())::text AS bytes',
  );
  return Number(rows[0]?.bytes);
}

/** Counters and sequences move on whatever the snapshot; read before it, they can only overstate what was lost. */
async function exportSnapshot(holder: Client, safety: boolean) {
  const counters = await listTables(holder);
  const { sequences, unreadable } = safety
    ? await listReadableSequences(holder)
    : { sequences: await listSequences(holder), unreadable: [] };
  const largeObjectChanges = await readLargeObjectChanges(holder);
  const countersResetAt = await readCountersResetAt(holder);
  const { rows: before } = await holder.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const { rows } = await holder.query<{ snapshot: string; at: Date }>(
    'SELECT pg_export_snapshot() AS snapshot, now() AS at',
  );
  return {
    counters: new Map(counters.map((table) => [`${table.schema}.${table.name}`, table])),
    sequences,
    unreadable,
    largeObjectChanges,
    lsn: before[0]!.lsn,
    countersResetAt,
    snapshot: rows[0]!.snapshot,
    snapshotAt: rows[0]!.at.toISOString(),
  };
}

function toEntry(
  { schema, name, rows, digest }: CountedTable,
  counters: Map<string, CountableTable>,
): TableEntry {
  const { oid, inserted = 0, updated = 0, deleted = 0 } = counters.get(`${schema}.${name}`) ?? {};
  return {
    schema,
    name,
    ...(oid === undefined ? {} : { oid }),
    rows,
    inserted,
    updated,
    deleted,
    ...(digest === undefined ? {} : { digest }),
  };
}

async function dumpAndCount(run: DumpRun): Promise<Saved> {
  // Whichever fails first stops the other: a dump without counts is no backup.
  const either = new AbortController();
  const signal = AbortSignal.any([currentActivity().signal, either.signal]);
  const stopOther = (error: unknown): never => {
    either.abort(error);
    throw error;
  };
  return watched(run, async () => {
    try {
      const [, counted] = await Promise.all([
        runDump(run, signal).catch(stopOther),
        readSnapshot(run, signal, stopOther).catch(stopOther),
      ]);
      return { counted, unsaved: [] };
    } catch (error) {
      throw either.signal.aborted && !currentActivity().signal.aborted ? either.signal.reason : error;
    }
  });
}

const readSnapshot: ReadSnapshot = async (run, signal, refuse) => {
  const { contentDigest } = serviceOf(run.deps.config, run.input.service).backups ?? {};
  return withClient(
    run.deps,
    run.ref,
    async (client) => {
      if (run.input.safety === true) await readWholeTables(client);
      return readCounted(client, {
        ...run,
        signal,
        refuse,
        // What is being saved is no recovery point: nothing will be compared with it value by value.
        contentDigest: contentDigest === true && run.input.safety !== true,
      });
    },
    { ...SNAPSHOT_OPTIONS, action: 'count rows' },
  );
};
