import type { ClientBase } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { ensureBookkeeping } from '../session/bookkeeping';
import { withClient } from '../session/connection';
import { withProgress } from '../../support/heartbeat';
import { underFence } from '../session/fence';
import { inTransaction } from '../session/transaction';
import type { DatabaseRef, Fence } from '../../../contract/place';

/** Old canaries say nothing: the newest two hundred stay. */
const KEPT_CANARIES = 200;

export function createCanaryActivities(deps: ActivityDeps) {
  return {
    /**
     * Writes a row that the next backup, and so its restore, must contain. Safe to retry: the same ID is the same row.
     * Throws WrongDatabase, ReadOnlyDatabase, StaleFencingToken, DatabaseUnreachable.
     */
    async writeCanary(input: {
      database: DatabaseRef;
      fence?: Fence | null;
      id: string;
    }): Promise<{ id: string; writtenAt: string }> {
      const { database, fence, id } = input;
      const write = (): Promise<{ id: string; writtenAt: string }> =>
        withClient(
          deps,
          database,
          async (client) => {
            if (fence != null) return underFence(client, fence, () => writeRow(client, id));
            await ensureBookkeeping(client);
            return inTransaction(client, () => writeRow(client, id));
          },
          { identity: true, action: 'write the canary' },
        );
      return withProgress({ phase: 'canary', done: 0, total: 1, unit: 'rows' }, write);
    },
  };
}

async function writeRow(client: ClientBase, id: string): Promise<{ id: string; writtenAt: string }> {
  await client.query('INSERT INTO durable_runbooks.canary (id) VALUES ($1) ON CONFLICT (id) DO NOTHING', [
    id,
  ]);
  await client.query(
    `DELETE FROM durable_runbooks.canary WHERE id <> $1 AND id IN
       (SELECT id FROM durable_runbooks.canary ORDER BY written_at DESC OFFSET ${KEPT_CANARIES})`,
    [id],
  );
  const { rows } = await client.query<{ at: Date }>(
    'SELECT written_at AS at FROM durable_runbooks.canary WHERE id = $1',
    [id],
  );
  return { id, writtenAt: rows[0]!.at.toISOString() };
}
