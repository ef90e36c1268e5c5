import type { ClientBase } from 'pg';
import { loadModule, normalize, parse } from 'libpg-query';
import { scrub } from '../../../config/secrets';
import { findView, howToEnable } from './statements';
import { needStatistics } from './statistics';

/** A counter that is kept in a column, and the bound that it must not pass. Names as in the catalogue. */
export interface Counter {
  schema: string;
  relation: string;
  sold: string;
  capacity: string;
}

/** A statement that reads or writes the counter without holding its row. */
export interface UnlockedStatement {
  does: 'reads' | 'writes';
  why: string;
  calls: number;
  /** Without literals. */
  text: string;
}

export interface UnlockedStatements {
  /** Absent where statements are counted: what a person has to do about it. */
  missing?: string;
  /** Empty where none both reads and writes so; the most frequent first. */
  statements: UnlockedStatement[];
  /** Transactions that hold a lock on the table at this moment. */
  open: { session: string; state: string; seconds: number; modes: string[] }[];
}

const MOST = 10;
const MOST_READ = 500;
const MAX_TEXT = 300;

/**
 * Statements on the table of a counter that read it without FOR UPDATE, with those that write it without asking in the same
 * statement whether there is room: one after the other sells what another transaction has sold in between. Which of them
 * belong to one transaction nobody counts, so it is for a person to look.
 */
export async function readUnlockedStatements(
  client: ClientBase,
  counter: Counter,
): Promise<UnlockedStatements> {
  const open = await readOpen(client, counter);
  try {
    await needStatistics(client);
  } catch (error) {
    return { missing: (error as Error).message, statements: [], open };
  }
  const { view, preloaded, preload } = await findView(client);
  if (!preloaded || view === null)
    return { missing: howToEnable(preloaded, preload, view), statements: [], open };
  const { rows } = await client.query<{ text: string; calls: number }>(
    `SELECT min(s.query) AS text, sum(s.calls)::float8 AS calls FROM ${view} s
      WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND s.userid IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = session_user)
        AND strpos(lower(s.query), lower($1)) > 0
      GROUP BY s.queryid ORDER BY 2 DESC LIMIT ${MOST_READ}`,
    [counter.relation],
  );
  const found: UnlockedStatement[] = [];
  for (const { text, calls } of rows) {
    const judged = await judge(text, counter);
    if (judged !== undefined) found.push({ ...judged, calls, text: await shown(text) });
  }
  const reads = found.filter(({ does }) => does === 'reads').slice(0, MOST);
  const writes = found.filter(({ does }) => does === 'writes').slice(0, MOST);
  return { statements: reads.length > 0 && writes.length > 0 ? [...writes, ...reads] : [], open };
}

type Tree = Record<string, unknown>;

/** Undefined for what holds the row, or is none of it. */
export async function judge(
  text: string,
  counter: Counter,
): Promise<Pick<UnlockedStatement, 'does' | 'why'> | undefined> {
  await loadModule();
  const parsed = await parse(text).catch(() => undefined);
  const node = parsed?.stmts?.length === 1 ? (parsed.stmts[0]?.stmt as Tree | undefined) : undefined;
  if (node === undefined) return undefined;
  const { SelectStmt: select, UpdateStmt: update } = node as { SelectStmt?: Tree; UpdateStmt?: Tree };
  if (select !== undefined) return judgeRead(select, counter);
  return update === undefined ? undefined : judgeWrite(update, counter);
}

function judgeRead(select: Tree, counter: Counter) {
  const from = (select['fromClause'] as unknown[] | undefined) ?? [];
  const all = JSON.stringify(select['targetList'] ?? []);
  const reads = all.includes('"A_Star"') || columnsIn(select['targetList']).includes(counter.sold);
  if (select['lockingClause'] !== undefined || !reads || !from.some((one) => names(one, counter)))
    return undefined;
  return { does: 'reads' as const, why: `reads ${counter.sold} without FOR UPDATE` };
}

function judgeWrite(update: Tree, { sold, capacity, ...counter }: Counter) {
  if (!names({ RangeVar: update['relation'] }, { sold, capacity, ...counter })) return undefined;
  const targets = (update['targetList'] as { ResTarget?: Tree }[] | undefined) ?? [];
  const target = targets.find(({ ResTarget: one }) => one?.['name'] === sold)?.ResTarget;
  if (target === undefined) return undefined;
  if (!columnsIn(target['val']).includes(sold))
    return { does: 'writes' as const, why: `sets ${sold} to a number that was worked out before` };
  if (givesBack(target['val']) || columnsIn(update['whereClause']).includes(capacity)) return undefined;
  return { does: 'writes' as const, why: `adds to ${sold} without looking at ${capacity}` };
}

function givesBack(value: unknown): boolean {
  const { A_Expr: expression } = value as { A_Expr?: { name?: { String?: { sval?: string } }[] } };
  return expression?.name?.at(-1)?.String?.sval === '-';
}

function names(node: unknown, { schema, relation }: Counter): boolean {
  const { RangeVar: named, JoinExpr: join } = (node ?? {}) as { RangeVar?: Tree; JoinExpr?: Tree };
  if (join !== undefined)
    return [join['larg'], join['rarg']].some((one) =>
      names(one, { schema, relation, sold: '', capacity: '' }),
    );
  return (
    named?.['relname'] === relation && (named['schemaname'] === undefined || named['schemaname'] === schema)
  );
}

/** Last names of the columns that an expression names. */
function columnsIn(node: unknown): string[] {
  if (node === null || typeof node !== 'object') return [];
  const { ColumnRef: reference } = node as { ColumnRef?: { fields?: { String?: { sval?: string } }[] } };
  const own = reference?.fields?.at(-1)?.String?.sval;
  return [...(own === undefined ? [] : [own]), ...Object.values(node).flatMap(columnsIn)];
}

/** The server leaves most literals out by itself; a statement with what looks like a secret is not shown. */
async function shown(text: string): Promise<string> {
  const bare = await normalize(text).catch(() => '');
  if (bare === '' || scrub(text) !== text) return 'not shown: it may have a secret in it';
  return bare
    .replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, MAX_TEXT);
}

async function readOpen(
  client: ClientBase,
  { schema, relation }: Counter,
): Promise<UnlockedStatements['open']> {
  const { rows } = await client.query<UnlockedStatements['open'][number]>(
    `SELECT coalesce(nullif(a.application_name, ''), a.usename, 'pid ' || a.pid) AS session, coalesce(a.state, 'unknown') AS state,
            coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0)::int AS seconds,
            array_agg(DISTINCT l.mode ORDER BY l.mode) AS modes
       FROM pg_locks l JOIN pg_stat_activity a USING (pid)
      WHERE l.relation = to_regclass(format('%I.%I', $1::text, $2::text)) AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.mode NOT IN ('AccessShareLock', 'ShareUpdateExclusiveLock')
      GROUP BY a.pid, 1, 2, 3 ORDER BY 3 DESC LIMIT ${MOST}`,
    [schema, relation],
  );
  return rows.map((row) => ({ ...row, session: scrub(row.session).slice(0, 60) }));
}
