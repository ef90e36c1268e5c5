import type { DeleteStmt, FuncCall, MergeStmt, Node, RangeVar, UpdateStmt } from 'libpg-query';

interface Kinds {
  FuncCall: FuncCall;
  RangeVar: RangeVar;
  DeleteStmt: DeleteStmt;
  UpdateStmt: UpdateStmt;
  MergeStmt: MergeStmt;
}

/** Every node of that kind inside a piece of a parse tree. */
export function nodesIn<K extends keyof Kinds>(piece: unknown, kind: K): Kinds[K][] {
  const found: Kinds[K][] = [];
  walk(piece, (key, value) => {
    if (key === kind) found.push(value as Kinds[K]);
  });
  return found;
}

/** Every string constant and string inside a piece of a parse tree, in their order. */
export function constantsIn(piece: unknown): string[] {
  const found: string[] = [];
  walk(piece, (key, value) => {
    if (key === 'sval' && typeof value === 'string') found.push(value);
  });
  return found;
}

function walk(piece: unknown, visit: (key: string, value: unknown) => void): void {
  if (piece === null || typeof piece !== 'object') return;
  for (const [key, value] of Object.entries(piece)) {
    visit(key, value);
    walk(value, visit);
  }
}

/** The names in a list of String nodes, e.g. of a qualified name. */
export function namesOf(list: Node[] | undefined): string[] {
  return (list ?? []).flatMap((node) =>
    'String' in node && node.String.sval !== undefined ? [node.String.sval] : [],
  );
}

/** A name for SQL: quoted, and qualified where it was. */
export function quoted(...parts: (string | undefined)[]): string {
  return parts
    .filter((part) => part !== undefined)
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.');
}

/** Quoted name of a table as a statement gives it. */
export function tableOf(relation: RangeVar | undefined): string {
  return quoted(relation?.schemaname, relation?.relname);
}
