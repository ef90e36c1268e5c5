import { escapeIdentifier, type ClientBase } from 'pg';
import type { DatabaseRef } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { sqlStateOf } from '../../support/failure';
import { withClient } from '../session/connection';
import { fixOutput } from '../backups/contents';
import { quotedName } from '../backups/inventory';
import { withProgress } from '../../support/heartbeat';
import { inTransaction } from '../session/transaction';
import type { Addition, Additions } from '../../../contract/contents';

// Somebody waits for a decision: what all of it together takes longer to tell is not told.
const PATIENCE_MS = 30_000;
const QUERY_CANCELED = '57014';

export function createAdditionActivities(deps: ActivityDeps) {
  return {
    /** Rows of tables and values of columns that a migration has added; those that are not there are left out. Reads only. */
    async countAdditions(input: {
      database: DatabaseRef;
      objects: string[];
      patienceMs?: number;
    }): Promise<Additions> {
      const { database, objects, patienceMs = PATIENCE_MS } = input;
      const progress = { phase: 'counting', done: 0, total: objects.length, unit: 'tables' as const };
      return withProgress(progress, (report) =>
        withClient(
          deps,
          database,
          async (client) => {
            const counts: Additions = {};
            const until = Date.now() + patienceMs;
            for (const { identity, ...found } of await find(client, objects)) {
              counts[identity] = await count(client, found, until - Date.now());
              report({ done: Object.keys(counts).length });
            }
            return counts;
          },
          {
            action: 'count what was added',
            identity: database.kind === 'service' && database.database === undefined,
            readOnly: true,
            allRows: true,
          },
        ),
      );
    },
  };
}

interface Found {
  schema: string;
  name: string;
  column: string | null;
}

async function find(client: ClientBase, objects: string[]): Promise<(Found & { identity: string })[]> {
  const { rows } = await client.query<Found & { identity: string }>(
    `SELECT identity, schema, name, "column" FROM (
       SELECT format('table %I.%I', n.nspname, c.relname) AS identity, n.nspname AS schema, c.relname AS name, NULL AS "column"
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')
       UNION ALL
       SELECT format('column %I.%I.%I', n.nspname, c.relname, a.attname), n.nspname, c.relname, a.attname
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '') AS known
      WHERE identity = ANY ($1) ORDER BY identity`,
    [objects],
  );
  return rows;
}

async function count(
  client: ClientBase,
  { schema, name, column }: Found,
  leftMs: number,
): Promise<Addition | null> {
  if (leftMs <= 0) return null;
  const what = column === null ? '(found.*)' : `found.${escapeIdentifier(column)}`;
  try {
    return await inTransaction(client, async () => {
      await fixOutput(client);
      await client.query(`SELECT set_config('statement_timeout', $1, true)`, [`${Math.ceil(leftMs)}ms`]);
      const { rows } = await client.query<{ count: string; digest: string }>(
        `SELECT count(${column === null ? '*' : what})::text AS count, coalesce(sum(hashtextextended(${what}::text, 0)), 0)::text AS digest
           FROM ${quotedName({ schema, name })} AS found`,
      );
      const { count: held, digest } = rows[0]!;
      return { count: Number(held), digest };
    });
  } catch (error) {
    if (sqlStateOf(error) === QUERY_CANCELED) return null;
    throw error;
  }
}
