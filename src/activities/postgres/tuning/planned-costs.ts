import type { ClientBase } from 'pg';
import type { KnownStatement, PlannedCost } from '../../../contract/tuning';

export interface Costs {
  costs: PlannedCost[];
  unplanned: string[];
}

/**
 * What the planner expects of statements whose values nobody knows: the plan that PostgreSQL itself keeps for a prepared
 * statement. Nothing is executed. In a transaction; what cannot be planned is told, and is none of the costs.
 */
export async function plannedCosts(client: ClientBase, statements: KnownStatement[]): Promise<Costs> {
  const found: Costs = { costs: [], unplanned: [] };
  await client.query('SET LOCAL plan_cache_mode = force_generic_plan');
  for (const { id, text } of statements) {
    await client.query('SAVEPOINT planning');
    try {
      found.costs.push({ id, cost: await plannedCost(client, text) });
    } catch (error) {
      if ((error as { code?: string }).code === '57014') throw error;
      found.unplanned.push(`${id}: ${(error as Error).message}`);
      await client.query('ROLLBACK TO SAVEPOINT planning');
    }
    // A name of a prepared statement outlives a rollback.
    await client.query('DEALLOCATE ALL');
    await client.query('RELEASE SAVEPOINT planning');
  }
  return found;
}

async function plannedCost(client: ClientBase, text: string): Promise<number> {
  await prepare(client, text);
  const { rows } = await client.query<{ parameters: number }>(
    `SELECT cardinality(parameter_types) AS parameters FROM pg_prepared_statements WHERE name = 'dr_planned'`,
  );
  const parameters = rows[0]?.parameters ?? 0;
  const values = parameters === 0 ? '' : `(${Array.from({ length: parameters }, () => 'NULL').join(', ')})`;
  const plan = await client.query<{ 'QUERY PLAN': [{ Plan: { 'Total Cost': number } }] }>(
    `EXPLAIN (FORMAT JSON) EXECUTE dr_planned${values}`,
  );
  return plan.rows[0]!['QUERY PLAN'][0].Plan['Total Cost'];
}

interface Problem {
  error: Error;
  /** In the statement itself, from 0. */
  at: number;
}

const TYPES = ['bigint', 'text', 'timestamptz'];
/** Calls of one statement whose arguments say nothing of their types. */
const MAX_CALLS = 5;

/**
 * What was counted has lost the types of its constants, and `generate_series($1, $2)` can be several functions then. The
 * arguments of such a call get the first type with which the server understands more of the statement.
 */
async function prepare(client: ClientBase, text: string): Promise<void> {
  let types: string[] = [];
  let problem = await tryToPrepare(client, text, types);
  for (let calls = 0; problem !== undefined; calls += 1) {
    const open = calls < MAX_CALLS ? parametersAt(text, problem) : [];
    const better = await firstBetter(client, text, problem, typings(types, open));
    if (better === undefined) throw problem.error;
    ({ types, problem } = better);
  }
}

function typings(types: string[], parameters: number[]): string[][] {
  if (parameters.length === 0) return [];
  return TYPES.map((type) => {
    const typed = [...types];
    for (const number of parameters) typed[number - 1] = type;
    return typed;
  });
}

async function firstBetter(
  client: ClientBase,
  text: string,
  { at }: Problem,
  choices: string[][],
): Promise<{ types: string[]; problem: Problem | undefined } | undefined> {
  for (const types of choices) {
    const problem = await tryToPrepare(client, text, types);
    if (problem === undefined || problem.at > at) return { types, problem };
  }
  return undefined;
}

async function tryToPrepare(client: ClientBase, text: string, types: string[]): Promise<Problem | undefined> {
  const named = Array.from(types, (type) => type ?? 'unknown').join(', ');
  const prefix = `PREPARE dr_planned${named === '' ? '' : `(${named})`} AS `;
  try {
    await client.query(prefix + text);
    return undefined;
  } catch (error) {
    const { code, position = '0' } = error as { code?: string; position?: string };
    if (code === '57014') throw error;
    await client.query('ROLLBACK TO SAVEPOINT planning');
    return { error: error as Error, at: Number(position) - 1 - prefix.length };
  }
}

/** Parameters of the call, or beside the operator, that stands there. */
function parametersAt(text: string, { at }: Problem): number[] {
  if (at < 0) return [];
  const rest = text.slice(at);
  const call = /^[\w."]+\s*\(/.exec(rest)?.[0];
  const piece = call === undefined ? beside(text, at) : argumentsOf(rest.slice(call.length));
  return [...piece.matchAll(/\$(\d+)/g)].map(([, number]) => Number(number));
}

function argumentsOf(text: string): string {
  let depth = 1;
  for (let end = 0; end < text.length; end += 1) {
    if (text[end] === '(') depth += 1;
    if (text[end] === ')') depth -= 1;
    if (depth === 0) return text.slice(0, end);
  }
  return text;
}

function beside(text: string, at: number): string {
  const before = /\$\d+\s*$/.exec(text.slice(0, at))?.[0] ?? '';
  const after = /^[^\s\w$]*\s*(\$\d+)/.exec(text.slice(at))?.[1] ?? '';
  return `${before} ${after}`;
}
