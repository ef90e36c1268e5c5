import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { listTables, readCountersResetAt } from '../backups/inventory';
import { backupFolder, readManifest, type Manifest } from '../backups/manifest';
import type { BackupRef, LostWrites } from '../../../contract/backup';

/** No row change leaves fewer bytes in the WAL; many rows of one COPY share a record. */
const LEAST_WAL_BYTES_PER_ROW = 8;

/**
 * Upper bound of the row changes since a backup's snapshot: how much the cumulative counters grew. Where they were reset
 * since, or the server is another one, the WAL is the bound, far above the truth.
 */
export async function estimateLostWrites(deps: ActivityDeps, input: BackupRef): Promise<LostWrites> {
  const { manifest } = await readManifest(
    backupFolder(deps, input.service, input.environment, input.backupId),
  );
  const { service, environment } = input;
  return withClient(
    deps,
    { kind: 'service', service, environment },
    async (client) => {
      const { rows } = await client.query<{ wal: string; same: boolean }>(
        `SELECT greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), $1::pg_lsn))::text AS wal,
                (SELECT system_identifier::text FROM pg_control_system()) = $2 AS same`,
        [manifest.lsn, manifest.systemIdentifier],
      );
      const { wal, same } = rows[0]!;
      const walBytes = Number(wal);
      const grown = growth(manifest, await listTables(client));
      const counted =
        same && grown !== undefined && (await readCountersResetAt(client)) === manifest.countersResetAt;
      return {
        rowsAtMost: counted ? grown : Math.ceil(walBytes / LEAST_WAL_BYTES_PER_ROW),
        since: manifest.snapshotAt,
        walBytes,
      };
    },
    { identity: true, action: 'estimate the lost writes' },
  );
}

type Counters = { schema: string; name: string; inserted: number; updated: number; deleted: number };

/** Undefined where a counter went backwards: a table was made anew under its old name, or its counters were reset. */
function growth(manifest: Manifest, now: Counters[]): number | undefined {
  const changes = (counters: Counters): number => counters.inserted + counters.updated + counters.deleted;
  // Our own bookkeeping is no write of the application.
  const before = new Map(manifest.tables.map((table) => [`${table.schema}.${table.name}`, table]));
  let sum = 0;
  for (const table of now.filter(({ schema }) => schema !== 'durable_runbooks')) {
    const then = before.get(`${table.schema}.${table.name}`);
    before.delete(`${table.schema}.${table.name}`);
    const difference = changes(table) - (then === undefined ? 0 : changes(then));
    if (difference < 0) return undefined;
    sum += difference;
  }
  // Tables that were dropped since: every row they had is a change.
  for (const table of before.values()) if (table.schema !== 'durable_runbooks') sum += table.rows;
  return sum;
}
