import type { ClientBase } from 'pg';
import {
  compareSchemas,
  schemaDelta,
  type SchemaDelta,
  type SchemaFingerprint,
} from '../../../contract/schema-delta';
import type { ActivityDeps } from '../../support/deps';
import { withClient, type ConnectionOptions } from '../session/connection';
import { fail } from '../../support/failure';
import { applicationName } from '../../support/heartbeat';
import type { DatabaseRef, Fence } from '../../../contract/place';
import { fenceSession, keepFence } from '../session/fence';
import { inTransaction } from '../session/transaction';
import { readObjects } from './read-schema';

/** Older fingerprints are of runs that ended long ago. */
const KEPT = '30 days';

/**
 * Compares schemas by the fingerprints of their objects. A fingerprint stays in the database it describes: thousands of
 * objects do not belong into a history, what changed among them does.
 */
export function createFingerprintActivities(deps: ActivityDeps) {
  return {
    /** Remembers the schema as it is now, under `id`. A retry before anything was changed remembers the same. */
    async saveSchema(input: {
      database: DatabaseRef;
      id: string;
      fence: Fence;
    }): Promise<{ objects: number; digest: string }> {
      const { database, id, fence } = input;
      return withClient(
        deps,
        database,
        async (client) => {
          await fenceSession(client, fence);
          const fingerprint = await readFingerprint(client);
          await inTransaction(client, async () => {
            // An attempt that everybody has given up must not save what a later step has made of the schema.
            await keepFence(client, fence, applicationName());
            await client.query(
              `DELETE FROM durable_runbooks.fingerprint WHERE taken_at < now() - interval '${KEPT}'`,
            );
            await client.query(
              `INSERT INTO durable_runbooks.fingerprint (id, objects) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET objects = excluded.objects`,
              [id, JSON.stringify(fingerprint.objects)],
            );
          });
          return { objects: Object.keys(fingerprint.objects).length, digest: fingerprint.digest };
        },
        optionsFor(database),
      );
    },

    /** What became of the schema since `saveSchema` under that `id`. Reads only. */
    async diffSchema({ database, id }: { database: DatabaseRef; id: string }): Promise<SchemaDelta> {
      return withClient(
        deps,
        database,
        async (client) => {
          const { rows } = await client.query<{ objects: Record<string, string> }>(
            'SELECT objects FROM durable_runbooks.fingerprint WHERE id = $1',
            [id],
          );
          if (rows[0] === undefined)
            throw fail('InvalidInput', `the schema was never saved as ${id}; start a new run`);
          return schemaDelta({ digest: '', objects: rows[0].objects }, await readFingerprint(client));
        },
        optionsFor(database),
      );
    },

    /** Where the schema of `other` differs from that of `live`, in words. Reads only. */
    async findDrift({ live, other }: { live: DatabaseRef; other: DatabaseRef }): Promise<string[]> {
      const read = (database: DatabaseRef) =>
        withClient(deps, database, readFingerprint, optionsFor(database));
      return compareSchemas(await read(live), await read(other));
    },
  };
}

function optionsFor(database: DatabaseRef): ConnectionOptions {
  return {
    action: 'read the schema',
    identity: database.kind === 'service' && database.database === undefined,
  };
}

/** The schema as it is now, whatever was committed meanwhile. The session must not be in a transaction. */
export async function readFingerprint(
  client: ClientBase,
  options: { portable?: boolean } = {},
): Promise<SchemaFingerprint> {
  await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  try {
    return await readObjects(client, options);
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}
