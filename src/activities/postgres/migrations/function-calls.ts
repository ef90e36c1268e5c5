import type { Node } from 'libpg-query';
import type { ClientBase } from 'pg';
import type { Hazard } from '../../../contract/migration';
import { destroys, hazard } from './hazards';
import { namesOf, nodesIn } from './parse-tree';
import type { Script } from './parse';

/** Of PostgreSQL's own functions the ones that change what people keep. */
const WRITES_ITSELF = /^(lo_(unlink|put|truncate\w*|from_bytea|import)|lowrite|setval)$/;

/**
 * Statements of a way back that call functions which may change rows: volatile ones that are not PostgreSQL's own, and
 * those that do not exist yet. What they really do shows in the rows of the clone.
 */
export async function writingCalls(client: ClientBase, script: Script): Promise<Hazard[]> {
  const calling = script.statements
    .filter(({ node }) => executes(node) && destroys(node) === undefined)
    .map((statement) => ({ statement, names: functionsIn(statement.node) }))
    .filter(({ names }) => names.length > 0);
  if (calling.length === 0) return [];
  const harmless = await harmlessFunctions(
    client,
    calling.flatMap(({ names }) => names),
  );
  return calling.flatMap(({ statement, names }) => {
    const writing = names.filter((name) => !harmless.has(name));
    if (writing.length === 0) return [];
    const why = `it calls ${[...new Set(writing)].join(', ')}, which may change rows; the clone shows whether that gives everything back`;
    return [hazard(script, statement, 'warning', 'down-destroys-data', why)];
  });
}

/** Statements that call what they name at once; a view or a default only keeps it. */
function executes(node: Node): boolean {
  return ['SelectStmt', 'InsertStmt', 'CreateTableAsStmt', 'ExplainStmt'].some((kind) => kind in node);
}

function functionsIn(node: Node): string[] {
  return nodesIn(node, 'FuncCall').map(({ funcname }) => namesOf(funcname).at(-1) ?? '');
}

/** Names under which nothing that may write is known, whatever their schema and arguments. */
async function harmlessFunctions(client: ClientBase, names: string[]): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT p.proname AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE p.proname = ANY($1) GROUP BY p.proname
     HAVING bool_and(p.provolatile <> 'v' OR n.nspname = 'pg_catalog')`,
    [names],
  );
  return new Set(rows.map(({ name }) => name).filter((name) => !WRITES_ITSELF.test(name)));
}
