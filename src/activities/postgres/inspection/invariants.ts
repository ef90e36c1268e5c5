import type { ClientBase, QueryConfig } from 'pg';
import { scrub } from '../../../config/secrets';
import { serviceOf } from '../../../config/load';
import type { ServiceConfig } from '../../../config/schema';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { withProgress } from '../../support/heartbeat';
import { serviceAt, type DatabaseRef } from '../../../contract/place';
import type { InvariantResult } from '../../../contract/migration';

export type Invariant = ServiceConfig['invariants'][number];

// A query that needs longer than this is no check that can run in the middle of an incident.
const STATEMENT_TIMEOUT_MS = 10 * 60_000;
/** Rows counted at most: more violations do not change the answer. */
const COUNTED = 1_000;

/** Checks invariants. Each runs read only, so a retry is safe. */
export function createInvariantActivities(deps: ActivityDeps) {
  return {
    /** Runs every configured invariant of its service against a database, or a copy of it. One that cannot be run is a failed one. */
    async checkInvariants(input: { database: DatabaseRef; service?: string }): Promise<InvariantResult[]> {
      const { database } = input;
      const { invariants } = serviceOf(deps.config, serviceAt(input));
      return withProgress(
        { phase: 'invariants', done: 0, total: invariants.length, unit: 'statements' },
        (report) =>
          withClient(
            deps,
            database,
            (client) => runInvariants(client, invariants, (done) => report({ done })),
            {
              action: 'check invariants',
              identity: database.kind === 'service' && database.database === undefined,
              statementTimeoutMs: STATEMENT_TIMEOUT_MS,
            },
          ),
      );
    },
  };
}

/** Each in a read-only transaction of its own, seeing all rows or failing: a policy must not hide a violation. */
export async function runInvariants(
  client: ClientBase,
  invariants: Invariant[],
  onDone: (done: number) => void = () => undefined,
): Promise<InvariantResult[]> {
  const results: InvariantResult[] = [];
  for (const invariant of invariants) {
    results.push(await runInvariant(client, invariant));
    onDone(results.length);
  }
  return results;
}

async function runInvariant(client: ClientBase, { name, sql }: Invariant): Promise<InvariantResult> {
  await client.query('BEGIN TRANSACTION READ ONLY');
  try {
    await client.query('SET LOCAL row_security = off');
    const { rows } = await client.query<Record<string, unknown>>({
      text: `SELECT * FROM (${sql.trim().replace(/;\s*$/, '')}) AS violations LIMIT ${COUNTED}`,
      // One statement only: a second one could end the read-only transaction.
      queryMode: 'extended',
    } as QueryConfig);
    return {
      name,
      ok: rows.length === 0,
      violations: rows.length,
      sample: rows[0] === undefined ? '' : shown(rows[0]),
    };
  } catch (error) {
    if ((error as { code?: string }).code === undefined) throw error;
    return {
      name,
      ok: false,
      violations: 0,
      sample: scrub(`it could not be checked: ${(error as Error).message}`),
    };
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/** Keys and numbers only: the sample ends up in a history, where customers' data does not belong. */
function shown(row: Record<string, unknown>): string {
  return Object.entries(row)
    .slice(0, 6)
    .map(([name, value]) => `${name}=${harmless(value) ? `${value}` : '…'}`)
    .join(', ');
}

/** Numbers, also the large ones that the driver gives as text, and UUIDs. */
function harmless(value: unknown): value is string | number | boolean | null {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return true;
  return typeof value === 'string' && /^-?\d{1,19}$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}
