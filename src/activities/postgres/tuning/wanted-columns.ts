import { parse, loadModule } from 'libpg-query';
import { findTable, type TableFacts } from './tables';

/** Columns of one table by which a statement looks for its rows. */
export interface Search {
  table: string;
  /** Compared with one value, or with one of several. */
  equal: string[];
  /** Compared with a bound, or sorted by: helps after those only. */
  then: string[];
}

export interface ParsedStatement {
  kind: 'read' | 'write';
  tables: string[];
  searches: Search[];
}

interface Scope {
  relations: { alias: string; table: TableFacts | undefined }[];
  equal: Map<TableFacts, Set<string>>;
  bounds: Map<TableFacts, Set<string>>;
}

type Tree = Record<string, unknown>;

/** What a statement reads and by which columns; undefined for what has no plan: a utility, several, or no SQL. */
export async function parseStatement(
  text: string,
  tables: TableFacts[],
): Promise<ParsedStatement | undefined> {
  await loadModule();
  const parsed = await parse(text).catch(() => undefined);
  const node = parsed?.stmts?.length === 1 ? parsed.stmts[0]?.stmt : undefined;
  const kind = node === undefined ? undefined : KINDS[Object.keys(node)[0] ?? ''];
  if (kind === undefined) return undefined;
  const named = new Set<string>();
  const searches: Search[] = [];
  forEach(node, (key, value) => {
    if (
      key !== 'SelectStmt' &&
      key !== 'UpdateStmt' &&
      key !== 'DeleteStmt' &&
      key !== 'larg' &&
      key !== 'rarg'
    )
      return;
    if (value['fromClause'] !== undefined || value['relation'] !== undefined)
      searches.push(...searchesOf(value, tables));
  });
  forEach(node, (_, value) => {
    if (typeof value['relname'] !== 'string') return;
    const table = findTable(tables, value['schemaname'] as string | undefined, value['relname']);
    if (table !== undefined) named.add(table.table);
  });
  return { kind, tables: [...named].sort(), searches };
}

const KINDS: Record<string, ParsedStatement['kind']> = {
  SelectStmt: 'read',
  InsertStmt: 'write',
  UpdateStmt: 'write',
  DeleteStmt: 'write',
  MergeStmt: 'write',
};

function searchesOf(statement: Tree, tables: TableFacts[]): Search[] {
  const scope: Scope = { relations: [], equal: new Map(), bounds: new Map() };
  const conditions: unknown[] = [statement['whereClause']];
  const from = [...list(statement['fromClause']), ...list(statement['usingClause'])];
  if (statement['relation'] !== undefined) from.push({ RangeVar: statement['relation'] });
  for (const one of from) addRelation(scope, one, tables, conditions);
  for (const condition of conditions) addCondition(scope, condition);
  addOrder(scope, list(statement['sortClause']));
  return scope.relations.flatMap(({ table }) => {
    if (table === undefined) return [];
    const equal = [...(scope.equal.get(table) ?? [])];
    const then = [...(scope.bounds.get(table) ?? [])].filter((column) => !equal.includes(column)).slice(0, 1);
    return equal.length + then.length === 0 ? [] : [{ table: table.table, equal, then }];
  });
}

function addRelation(scope: Scope, node: unknown, tables: TableFacts[], conditions: unknown[]): void {
  const { RangeVar: relation, JoinExpr: join } = (node ?? {}) as { RangeVar?: Tree; JoinExpr?: Tree };
  if (join !== undefined) {
    conditions.push(join['quals']);
    addRelation(scope, join['larg'], tables, conditions);
    addRelation(scope, join['rarg'], tables, conditions);
  }
  if (relation === undefined) return;
  const name = relation['relname'] as string;
  const alias = (relation['alias'] as { aliasname?: string } | undefined)?.aliasname ?? name;
  scope.relations.push({
    alias,
    table: findTable(tables, relation['schemaname'] as string | undefined, name),
  });
}

/** Only what must hold for every row: one side of an OR narrows nothing. */
function addCondition(scope: Scope, node: unknown): void {
  const { BoolExpr: all, A_Expr: comparison } = (node ?? {}) as { BoolExpr?: Tree; A_Expr?: Tree };
  if (all?.['boolop'] === 'AND_EXPR') list(all['args']).forEach((one) => addCondition(scope, one));
  if (comparison === undefined) return;
  const kind = comparison['kind'] as string;
  const operator = operatorOf(comparison);
  const [left, right] = [columnOf(scope, comparison['lexpr']), columnOf(scope, comparison['rexpr'])];
  // Of two columns of one table neither is known before its row is read.
  if (left !== undefined && left.table === right?.table) return;
  const isEqual = operator === '=' && ['AEXPR_OP', 'AEXPR_IN', 'AEXPR_OP_ANY'].includes(kind);
  const isBound =
    kind === 'AEXPR_BETWEEN' || (kind === 'AEXPR_OP' && ['<', '<=', '>', '>='].includes(operator));
  for (const side of [left, right]) {
    if (side === undefined) continue;
    if (isEqual) add(scope.equal, side);
    else if (isBound) add(scope.bounds, side);
  }
}

/** An order helps where one table alone makes it. */
function addOrder(scope: Scope, order: unknown[]): void {
  const columns = order.map((one) => columnOf(scope, (one as { SortBy?: Tree }).SortBy?.['node']));
  const [first] = columns;
  if (first !== undefined && columns.every((one) => one?.table === first.table)) add(scope.bounds, first);
}

interface Column {
  table: TableFacts;
  column: string;
}

/** A plain column of a table of this scope; one without a qualifier belongs to the only table that has it. */
function columnOf(scope: Scope, node: unknown): Column | undefined {
  const { ColumnRef: reference, TypeCast: cast } = (node ?? {}) as { ColumnRef?: Tree; TypeCast?: Tree };
  if (cast !== undefined || reference === undefined) return undefined;
  const names = list(reference['fields']).map((one) => (one as { String?: { sval?: string } }).String?.sval);
  const [column, alias] = [names.at(-1), names.at(-2)];
  if (column === undefined) return undefined;
  const owners = scope.relations.filter(
    (one) => one.table?.columns.includes(column) === true && (alias === undefined || one.alias === alias),
  );
  const table = owners.length === 1 ? owners[0]?.table : undefined;
  return table === undefined ? undefined : { table, column };
}

function add(columns: Map<TableFacts, Set<string>>, { table, column }: Column): void {
  columns.set(table, (columns.get(table) ?? new Set()).add(column));
}

function operatorOf(comparison: Tree): string {
  const [name] = list(comparison['name']).slice(-1);
  return (name as { String?: { sval?: string } } | undefined)?.String?.sval ?? '';
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function forEach(piece: unknown, visit: (key: string, value: Tree) => void): void {
  if (piece === null || typeof piece !== 'object') return;
  for (const [key, value] of Object.entries(piece)) {
    if (value !== null && typeof value === 'object') visit(key, value as Tree);
    forEach(value, visit);
  }
}
