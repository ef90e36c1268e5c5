import type { ClientBase } from 'pg';
import { scrub } from '../../../config/secrets';
import { MOST, type Counters } from '../../../contract/checklist';
import { findView, howToEnable } from './statements';
import { needStatistics } from './statistics';

/** A statement that took too long on average since a time. */
export interface SlowStatement {
  id: string;
  calls: number;
  meanMs: number;
  query: string;
}

export interface SlowStatements {
  /** Absent where nobody counts them here: what a person has to do about it. */
  missing?: string;
  /** Slowest first. */
  slow: SlowStatement[];
  counted: NonNullable<Counters['statements']>;
}

/** They go into every report: so many of those that took most of the time, and of the slowest on average. */
const COUNTED = 50;

interface Row {
  id: string;
  text: string;
  calls: number;
  totalMs: number;
}

/**
 * Statements of others that took longer than `slowMs` on average since they were counted the last time. What was not among
 * the counted ones then, or was reset since, is judged by all its calls. One that is new took little in all, beside what has
 * run for months: so the slowest are looked at too. Throws MissingPrivilege.
 */
export async function readSlowStatements(
  client: ClientBase,
  slowMs: number,
  before: Counters['statements'] = {},
): Promise<SlowStatements> {
  await needStatistics(client);
  const { view, preloaded, preload } = await findView(client);
  if (!preloaded || view === null)
    return { missing: howToEnable(preloaded, preload, view), slow: [], counted: {} };
  const { rows } = await client.query<Row>(
    `WITH statements AS (
       SELECT s ->> 'queryid' AS id, left(min(s ->> 'query'), 400) AS text, sum((s ->> 'calls')::float8) AS calls,
              sum(coalesce(s ->> 'total_exec_time', s ->> 'total_time')::float8) AS "totalMs"
         FROM (SELECT to_jsonb(p) AS s FROM ${view} p
                WHERE p.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                  AND p.userid IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = session_user)) counted
        WHERE s ->> 'queryid' IS NOT NULL AND (s ->> 'calls')::float8 > 0 GROUP BY 1)
     (SELECT * FROM statements ORDER BY "totalMs" DESC LIMIT ${COUNTED})
     UNION (SELECT * FROM statements ORDER BY "totalMs" / calls DESC LIMIT ${COUNTED})`,
  );
  const slow = rows
    .map((row) => since(row, before[row.id]))
    .filter(({ calls, meanMs }) => calls > 0 && meanMs > slowMs)
    .sort((a, b) => b.meanMs - a.meanMs)
    .slice(0, MOST);
  const counted = rows.map(({ id, calls, totalMs }) => [id, [calls, Math.round(totalMs)]]);
  return { slow, counted: Object.fromEntries(counted) as SlowStatements['counted'] };
}

function since({ id, text, calls, totalMs }: Row, before: [number, number] = [0, 0]): SlowStatement {
  const reset = before[0] > calls || before[1] > totalMs + 1;
  const [calledBefore, msBefore] = reset ? [0, 0] : before;
  const fresh = calls - calledBefore;
  return { id, calls: fresh, meanMs: fresh > 0 ? (totalMs - msBefore) / fresh : 0, query: shown(text) };
}

/** Constants are left out by the server where a statement is one that it plans; others may have a password in them. */
function shown(text: string): string {
  if (!/^\s*(select|insert|update|delete|merge|with|call|values)\b/i.test(text) || scrub(text) !== text)
    return 'not shown: it may have a secret in it';
  return text.replace(/\s+/g, ' ').trim().slice(0, 200);
}
