import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { escapeIdentifier, type Client } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import {
  openClient,
  terminateEarlierAttempts,
  withClient,
  type ConnectionOptions,
} from '../session/connection';
import { isDamage } from '../session/damage';
import { endpointOf, libpqOf } from '../session/endpoint';
import { endNamedSessions } from '../session/own-sessions';
import { mapError } from '../../support/failure';
import { applicationName, currentActivity, withProgress, type Progress } from '../../support/heartbeat';
import type { BackUpInput } from './take-backup';
import {
  countLargeObjects,
  listSequences,
  listTables,
  readCountersResetAt,
  readLargeObjectChanges,
  readSurroundings,
  type CountableTable,
} from './inventory';
import { DATA_FOLDER, type Manifest, type TableEntry } from './manifest';
import { requireClientFor, runTool, type Tools } from '../session/tools';
import { databaseIn, type DatabaseRef } from '../../../contract/place';
import { fenceSession } from '../session/fence';
import { readCounted, type Counted, type CountedTable } from './snapshot-contents';

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
      const exported = await exportSnapshot(holder);
      const surroundings = await readSurroundings(holder);
      const tables = await listTables(holder);
      const first: Progress = { phase: 'dump', done: 0, total: surroundings.databaseBytes, unit: 'bytes' };
      const { counted, unsaved } = await withProgress(first, (report) => {
        const run = { deps, tools, input, ref, partial, report, tables, snapshot: exported.snapshot };
        return input.safety === true ? saveWhatCanBeRead(run) : dumpAndCount(run);
      });
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

async function databaseSize(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    'SELECT pg_database_size(current_database())::text AS bytes',
  );
  return Number(rows[0]?.bytes);
}

/** Counters and sequences move on whatever the snapshot; read before it, they can only overstate what was lost. */
async function exportSnapshot(holder: Client) {
  const counters = await listTables(holder);
  const sequences = await listSequences(holder);
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
  const { inserted = 0, updated = 0, deleted = 0 } = counters.get(`${schema}.${name}`) ?? {};
  return { schema, name, rows, inserted, updated, deleted, ...(digest === undefined ? {} : { digest }) };
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

interface Saved {
  counted: Counted;
  unsaved: NonNullable<Manifest['unsaved']>;
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

/** As many tables may be lost to damage as pg_dump is started again for: each failure names one. */
const MOST_UNSAVED = 50;

/**
 * Of a damaged database: all but the tables that cannot be read. Counting finds most of them; what only the values show,
 * pg_dump names one by one.
 */
async function saveWhatCanBeRead(run: DumpRun): Promise<Saved> {
  const { signal } = currentActivity();
  return watched(run, async () => {
    const unsaved = new Map<string, string>();
    const counted = await readSnapshot(run, signal, (error, table) => {
      if (!isDamage(error)) throw error;
      if (table !== undefined) unsaved.set(`${table.schema}.${table.name}`, (error as Error).message);
    });
    for (;;) {
      try {
        await runDump(run, signal, unsaved);
        break;
      } catch (error) {
        signal.throwIfAborted();
        const what = unreadableIn((error as Error).message, run.tables);
        if (what === undefined || unsaved.has(what) || unsaved.size >= MOST_UNSAVED) throw error;
        unsaved.set(what, (error as Error).message);
        await rm(join(run.partial, DATA_FOLDER), { recursive: true, force: true });
      }
    }
    return {
      counted: {
        ...counted,
        tables: counted.tables.filter(({ schema, name }) => !unsaved.has(`${schema}.${name}`)),
      },
      unsaved: [...unsaved].map(([what, why]) => ({ what, why })),
    };
  });
}

const LARGE_OBJECTS = 'large objects';

/** What a failure of pg_dump says it could not read: a table, or the large objects. */
function unreadableIn(message: string, tables: CountableTable[]): string | undefined {
  if (/large object/i.test(message)) return LARGE_OBJECTS;
  const name =
    /contents of table "((?:[^"]|"")+)" failed/.exec(message)?.[1] ?? /COPY (.+?) \(/.exec(message)?.[1];
  if (name === undefined) return undefined;
  const found = tables.find((table) =>
    [table.name, `${table.schema}.${table.name}`, patternOf(table)].includes(name),
  );
  return found === undefined ? undefined : `${found.schema}.${found.name}`;
}

/** For pg_dump, which reads names as patterns. */
function patternOf({ schema, name }: { schema: string; name: string }): string {
  return `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
}

async function watched<T>(run: DumpRun, body: () => Promise<T>): Promise<T> {
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

async function runDump(
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
    ...run.tables
      .filter(({ schema, name }) => unsaved.has(`${schema}.${name}`))
      .map((table) => `--exclude-table-data=${patternOf(table)}`),
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

async function readSnapshot(
  run: DumpRun,
  signal: AbortSignal,
  refuse: (error: unknown, table?: { schema: string; name: string }) => void,
): Promise<Counted> {
  const { contentDigest } = serviceOf(run.deps.config, run.input.service).backups ?? {};
  return withClient(
    run.deps,
    run.ref,
    (client) =>
      readCounted(client, {
        ...run,
        signal,
        refuse,
        // What is being saved is no recovery point: nothing will be compared with it value by value.
        contentDigest: contentDigest === true && run.input.safety !== true,
      }),
    { ...SNAPSHOT_OPTIONS, action: 'count rows' },
  );
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
