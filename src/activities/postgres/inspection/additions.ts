import { escapeIdentifier, type ClientBase } from 'pg';
import type { DatabaseRef } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { sqlStateOf } from '../../support/failure';
import { withClient } from '../session/connection';
import { quotedName } from '../backups/inventory';

// Somebody waits for a decision: an answer that needs longer than this is none.
const PATIENCE_MS = 30_000;
const QUERY_CANCELED = '57014';

/** Tables and columns by the names that a schema delta has for them, and what they hold; null where nobody can tell in time. */
export type Additions = Record<string, number | null>;

export function createAdditionActivities(deps: ActivityDeps) {
  return {
    /** Rows of tables and values of columns that a migration has added; those that are not there are left out. Reads only. */
    async countAdditions(input: { database: DatabaseRef; objects: string[] }): Promise<Additions> {
      const { database, objects } = input;
      return withClient(
        deps,
        database,
        async (client) => {
          const counts: Additions = {};
          for (const { identity, ...found } of await find(client, objects))
            counts[identity] = await count(client, found);
          return counts;
        },
        {
          action: 'count what was added',
          identity: database.kind === 'service' && database.database === undefined,
          readOnly: true,
          allRows: true,
          statementTimeoutMs: PATIENCE_MS,
        },
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

async function count(client: ClientBase, { schema, name, column }: Found): Promise<number | null> {
  const what = column === null ? '*' : escapeIdentifier(column);
  try {
    const { rows } = await client.query<{ count: string }>(
      `SELECT count(${what})::text AS count FROM ${quotedName({ schema, name })}`,
    );
    return Number(rows[0]?.count);
  } catch (error) {
    if (sqlStateOf(error) === QUERY_CANCELED) return null;
    throw error;
  }
}
