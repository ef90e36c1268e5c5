import type { Node } from 'libpg-query';
import { constantsIn, namesOf, nodesIn } from './parse-tree';

const LOST =
  'its end comes with the statement that it stands in, because this file runs in several transactions';

/**
 * Why a statement may not stand in a file that runs in several transactions: it would do something else there than in
 * one, and say nothing. Undefined where it does the same. SET LOCAL is carried on instead, see `forTheRest`.
 */
export function refusalInParts(node: Node): string | undefined {
  if ('ConstraintsSetStmt' in node) return `SET CONSTRAINTS has no effect here: ${LOST}. Remove it`;
  if ('LockStmt' in node) return `LOCK TABLE has no effect here: ${LOST}. Remove it`;
  if ('DeclareCursorStmt' in node || 'FetchStmt' in node || 'ClosePortalStmt' in node)
    return `a cursor is gone here before it is read: ${LOST}. Write one statement, or a DO block`;
  if ('PrepareStmt' in node || 'ExecuteStmt' in node)
    return 'a prepared statement is gone when this file is continued in another session. Write the statement itself';
  if (isTemporary(node))
    return 'a temporary table is gone when this file is continued in another session. Use a table, and drop it at the end';
  if ('SelectStmt' in node && node.SelectStmt.lockingClause !== undefined)
    return `the rows are not locked any longer when the next statement begins: ${LOST}. Put both into one DO block`;
  return refusedCall(node) ?? refusedBody(node);
}

const SETS =
  /(?:^|;|\b(?:begin|then|else|loop)|\bexecute\s+(?:format\s*\(\s*)?')\s*set\s+(local|session|constraints)?\b|\bset_config\s*\(/i;

/** Code in a string, without its comments: looked at as text, because nobody parses every language there. */
function refusedBody(node: Node): string | undefined {
  if (!('DoStmt' in node)) return undefined;
  const found = constantsIn(node).some((text) => SETS.test(text.replace(/--[^\n]*|\/\*[\s\S]*?\*\//g, ' ')));
  return found
    ? `what a DO block sets does not last until the end of the file here: ${LOST}, or another session continues the file. Write SET before it, which is repeated`
    : undefined;
}

function isTemporary(node: Node): boolean {
  const relation =
    'CreateStmt' in node
      ? node.CreateStmt.relation
      : 'CreateTableAsStmt' in node
        ? node.CreateTableAsStmt.into?.rel
        : 'ViewStmt' in node
          ? node.ViewStmt.view
          : 'CreateSeqStmt' in node
            ? node.CreateSeqStmt.sequence
            : 'SelectStmt' in node
              ? node.SelectStmt.intoClause?.rel
              : undefined;
  return relation?.relpersistence === 't';
}

function refusedCall(node: Node): string | undefined {
  for (const { funcname } of nodesIn(node, 'FuncCall')) {
    const name = namesOf(funcname).at(-1) ?? '';
    if (name === 'set_config')
      return 'set_config is forgotten when this file is continued in another session. Write SET, which is repeated';
    if (/^pg_(try_)?advisory_(xact_)?lock(_shared)?$/.test(name))
      return `${name} holds nothing here: ${LOST}, or another session continues the file. Remove it`;
  }
  return undefined;
}

const SET_LOCAL = /^((?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*set(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)+)local\s+/i;

/** SET LOCAL counts until the end of the transaction, and so of the file: here SET is what does the same. */
export function forTheRest(node: Node, text: string): string {
  return 'VariableSetStmt' in node && node.VariableSetStmt.is_local === true
    ? text.replace(SET_LOCAL, '$1')
    : text;
}
