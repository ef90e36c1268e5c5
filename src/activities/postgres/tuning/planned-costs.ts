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
  await client.query(`PREPARE dr_planned AS ${text}`);
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
