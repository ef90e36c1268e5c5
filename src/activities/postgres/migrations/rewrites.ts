import type { AlterTableCmd, AlterTableStmt, ColumnDef, Node } from 'libpg-query';
import type { ClientBase } from 'pg';
import type { Script, Statement } from './parse';
import { alterCommands, createdTables, isFullVacuum } from './statements';
import { namesOf, nodesIn, quoted, tableOf } from './parse-tree';

export interface Rewrite {
  statement: Statement;
  why: string;
}

const SERIALS = ['smallserial', 'serial', 'bigserial', 'serial2', 'serial4', 'serial8'];

/**
 * Statements that write a table anew under ACCESS EXCLUSIVE, as far as the file and the catalogue tell. Tables that
 * the script creates, that do not exist yet, or have no row, are not written; what cannot be seen from here (code in DO
 * blocks, triggers on types) is noticed when it happens, see `rewrittenTables`.
 */
export async function findRewrites(client: ClientBase, script: Script): Promise<Rewrite[]> {
  const created = new Set(script.statements.flatMap(({ node }) => createdTables(node)));
  const found: Rewrite[] = [];
  for (const statement of script.statements) {
    for (const why of await rewritesOf(client, statement.node, created)) found.push({ statement, why });
  }
  return found;
}

async function rewritesOf(client: ClientBase, node: Node, created: Set<string>): Promise<string[]> {
  if (isFullVacuum(node)) return ['VACUUM FULL writes the whole table anew and nobody can read it meanwhile'];
  if ('ClusterStmt' in node) return ['CLUSTER writes the whole table anew and nobody can read it meanwhile'];
  if (!('AlterTableStmt' in node) || node.AlterTableStmt.objtype !== 'OBJECT_TABLE') return [];
  const table = tableOf(node.AlterTableStmt.relation);
  if (created.has(table) || !(await mayHaveRows(client, table))) return [];
  const reasons: string[] = [];
  for (const command of alterCommands(node.AlterTableStmt)) {
    const why = await rewriteOf(client, node.AlterTableStmt, command);
    if (why !== undefined) reasons.push(`${why}; ${table} is written anew and nobody can read it meanwhile`);
  }
  return reasons;
}

async function rewriteOf(
  client: ClientBase,
  statement: AlterTableStmt,
  command: AlterTableCmd,
): Promise<string | undefined> {
  const { subtype, def, name } = command;
  const column = def !== undefined && 'ColumnDef' in def ? def.ColumnDef : undefined;
  if (subtype === 'AT_SetLogged' || subtype === 'AT_SetUnLogged') return 'LOGGED or UNLOGGED changes';
  if (subtype === 'AT_SetAccessMethod') return 'the access method changes';
  if (subtype === 'AT_AlterColumnType' && column !== undefined) {
    return (await keepsRows(client, tableOf(statement.relation), name ?? '', column))
      ? undefined
      : `the type of column ${name} changes`;
  }
  if (subtype === 'AT_AddColumn' && column !== undefined) return rewriteForColumn(client, column);
  return undefined;
}

/** A constant default is kept in the catalogue since PostgreSQL 11; one that differs from row to row is not. */
async function rewriteForColumn(client: ClientBase, column: ColumnDef): Promise<string | undefined> {
  const type = namesOf(column.typeName?.names).at(-1) ?? '';
  if (SERIALS.includes(type)) return `column ${column.colname} of type ${type} gets a number in each row`;
  const constraints = (column.constraints ?? []).flatMap((node) =>
    'Constraint' in node ? [node.Constraint] : [],
  );
  for (const { contype, raw_expr, generated_kind } of constraints) {
    if (contype === 'CONSTR_IDENTITY') return `identity column ${column.colname} gets a number in each row`;
    if (contype === 'CONSTR_GENERATED' && generated_kind !== 'v')
      return `generated column ${column.colname} is computed for each row`;
    if (contype !== 'CONSTR_DEFAULT') continue;
    const names = nodesIn(raw_expr, 'FuncCall').flatMap(({ funcname }) => namesOf(funcname).at(-1) ?? []);
    const volatile = await volatileFunctions(client, names);
    if (volatile.length > 0)
      return `the default of column ${column.colname} calls ${volatile.join(', ')}, which differs from row to row`;
  }
  return undefined;
}

async function volatileFunctions(client: ClientBase, names: string[]): Promise<string[]> {
  if (names.length === 0) return [];
  const { rows } = await client.query<{ proname: string }>(
    `SELECT DISTINCT proname FROM pg_proc WHERE proname = ANY($1) AND provolatile = 'v'`,
    [names],
  );
  return rows.map(({ proname }) => proname);
}

/** Whether there is such a table, and a row in it or in a partition of it. One that cannot be looked into may have any. */
async function mayHaveRows(client: ClientBase, table: string): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    table,
  ]);
  if (rows[0]?.there !== true) return false;
  return client.query(`SELECT 1 FROM ${table} LIMIT 1`).then(
    (found) => found.rows.length > 0,
    () => true,
  );
}

/**
 * Whether a change of type leaves the rows as they are: to text or a longer varchar from either of them, to a numeric
 * of more digits and the same scale. Everything else counts as a rewrite.
 */
async function keepsRows(
  client: ClientBase,
  table: string,
  name: string,
  column: ColumnDef,
): Promise<boolean> {
  if (column.raw_default !== undefined) return false;
  const to = namesOf(column.typeName?.names).at(-1) ?? '';
  const modifiers = (column.typeName?.typmods ?? []).map((node) =>
    'A_Const' in node && node.A_Const.ival !== undefined ? (node.A_Const.ival.ival ?? 0) : Number.NaN,
  );
  const { rows } = await client.query<{ type: string; modifier: number }>(
    `SELECT t.typname AS type, a.atttypmod AS modifier FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
      WHERE a.attrelid = to_regclass($1) AND a.attname = $2`,
    [table, name],
  );
  const from = rows[0];
  if (from === undefined || (column.typeName?.arrayBounds ?? []).length > 0) return false;
  const length = from.modifier < 0 ? Infinity : from.modifier - 4;
  if (['text', 'varchar'].includes(from.type) && to === 'text') return true;
  if (from.type === 'varchar' && to === 'varchar') return (modifiers[0] ?? Infinity) >= length;
  if (from.type === 'text' && to === 'varchar') return modifiers.length === 0;
  if (from.type === 'numeric' && to === 'numeric' && from.modifier >= 4) {
    const digits = (from.modifier - 4) >> 16;
    const scale = (from.modifier - 4) & 0x7ff;
    return modifiers.length === 0 || ((modifiers[0] ?? 0) >= digits && (modifiers[1] ?? 0) === scale);
  }
  return false;
}

/**
 * The tables with rows that this session's open transaction has written anew: their file is another one than what
 * `other`, a session outside of it, still sees.
 */
export async function rewrittenTables(client: ClientBase, other: ClientBase): Promise<string[]> {
  const mine = await client.query<{ oid: string; file: string; schema: string; name: string }>(
    `SELECT c.oid::int8::text AS oid, c.relfilenode::int8::text AS file, n.nspname AS schema, c.relname AS name
       FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.granted
        AND c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'pg_toast')`,
  );
  if (mine.rows.length === 0) return [];
  const before = await other.query<{ oid: string; file: string }>(
    'SELECT oid::int8::text AS oid, relfilenode::int8::text AS file FROM pg_class WHERE oid = ANY($1::oid[])',
    [mine.rows.map(({ oid }) => oid)],
  );
  const files = new Map(before.rows.map(({ oid, file }) => [oid, file]));
  const changed = mine.rows.filter(({ oid, file }) => files.has(oid) && files.get(oid) !== file);
  const rewritten: string[] = [];
  for (const { schema, name } of changed) {
    // TRUNCATE changes the file too, and so does anything on an empty table; neither takes long.
    const { rows } = await client.query(`SELECT 1 FROM ${quoted(schema, name)} LIMIT 1`);
    if (rows.length > 0) rewritten.push(`${schema}.${name}`);
  }
  return rewritten;
}
