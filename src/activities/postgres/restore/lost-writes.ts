import type { Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import {
  listReadableSequences,
  listTables,
  readCountersResetAt,
  readLargeObjectChanges,
  type CountableTable,
} from '../backups/inventory';
import { backupFolder, readManifest, type Manifest } from '../backups/manifest';
import type { BackupRef, LostWrites } from '../../../contract/backup';
import { databaseIn } from '../../../contract/place';

export interface LostInput extends BackupRef {
  /** Of this database of the server, instead of the live one: of a former one, whose counters go with it. */
  database?: string;
}

/** No row change leaves fewer bytes in the WAL; many rows of one COPY share a record. */
const LEAST_WAL_BYTES_PER_ROW = 8;
const MAX_NAMED = 10;

/**
 * Upper bound of the changes since a backup's snapshot: how much the cumulative counters grew. Where they were reset since,
 * or it is another database of that name, the WAL is the bound, far above the truth; of unlogged tables, which leave none,
 * all that their counters have. Null on another server, or one that was put back in time: nothing there bounds it.
 */
export async function estimateLostWrites(deps: ActivityDeps, input: LostInput): Promise<LostWrites | null> {
  const { manifest } = await readManifest(
    backupFolder(deps, input.service, input.environment, input.backupId),
  );
  return withClient(
    deps,
    databaseIn(input, input.database),
    async (client) => {
      const { rows } = await client.query<{ wal: string; same: boolean }>(
        `SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn)::text AS wal,
                (SELECT system_identifier::text FROM pg_control_system()) = $2 AS same`,
        [manifest.lsn, manifest.systemIdentifier],
      );
      const { wal, same } = rows[0]!;
      const walBytes = Number(wal);
      if (!same || walBytes < 0) return null;
      const now = (await listTables(client)).filter(isTheirs);
      const grown = growth(manifest, now, await readLargeObjectChanges(client));
      const counted = grown !== undefined && (await readCountersResetAt(client)) === manifest.countersResetAt;
      return {
        rowsAtMost: counted ? grown.changes : Math.ceil(walBytes / LEAST_WAL_BYTES_PER_ROW) + unlogged(now),
        sequences: await countMoved(client, manifest),
        since: manifest.snapshotAt,
        walBytes,
        ...(counted
          ? {
              tables: grown.tables.slice(0, MAX_NAMED),
              moreTables: Math.max(0, grown.tables.length - MAX_NAMED),
            }
          : {}),
      };
    },
    { identity: true, action: 'estimate the lost writes' },
  );
}

/** Our own bookkeeping is no write of the application. */
const isTheirs = ({ schema }: { schema: string }): boolean => schema !== 'durable_runbooks';

const changes = ({
  inserted,
  updated,
  deleted,
}: Pick<CountableTable, 'inserted' | 'updated' | 'deleted'>): number => inserted + updated + deleted;

function unlogged(tables: CountableTable[]): number {
  return tables.filter((table) => table.unlogged).reduce((sum, table) => sum + changes(table), 0);
}

/** Undefined where a counter went backwards: a table was made anew under its old name, or its counters were reset. */
function growth(
  manifest: Manifest,
  now: CountableTable[],
  largeObjectChanges: number,
): { changes: number; tables: string[] } | undefined {
  const before = new Map(
    manifest.tables.filter(isTheirs).map((table) => [`${table.schema}.${table.name}`, table]),
  );
  // Of what could not be saved nothing is known, and the plan says so.
  const unsaved = new Set(manifest.unsaved?.map(({ what }) => what));
  const largeObjects = largeObjectChanges - (manifest.largeObjectChanges ?? 0);
  if (largeObjects < 0) return undefined;
  const grown: [string, number][] = [];
  for (const table of now) {
    const name = `${table.schema}.${table.name}`;
    if (unsaved.has(name)) continue;
    const then = before.get(name);
    before.delete(name);
    if (then?.oid !== undefined && then.oid !== table.oid) {
      // Made anew under its old name: all that the old one had, and all that the new one saw.
      grown.push([name, then.rows + changes(table)]);
      continue;
    }
    const difference = changes(table) - (then === undefined ? 0 : changes(then));
    if (difference < 0) return undefined;
    grown.push([name, difference]);
  }
  // Tables that were dropped since: every row they had is a change.
  for (const [name, { rows }] of before) grown.push([name, rows]);
  const changed = grown.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
  return {
    changes: changed.reduce((sum, [, count]) => sum + count, largeObjects),
    tables: changed.map(([name]) => name),
  };
}

/** Null where a sequence cannot be read. */
async function countMoved(client: Client, manifest: Manifest): Promise<number | null> {
  const then = new Map(
    manifest.sequences.map(({ schema, name, lastValue }) => [`${schema}.${name}`, lastValue]),
  );
  const { sequences: now, unreadable } = await listReadableSequences(client);
  if (unreadable.length > 0) return null;
  return now
    .filter(isTheirs)
    .filter(({ schema, name, lastValue }) => (then.get(`${schema}.${name}`) ?? null) !== lastValue).length;
}
