import type { Node } from 'libpg-query';
import type { Script, Statement } from './parse';
import { alterCommands, createdTables, hasOption, kindOf } from './statements';
import { locksOf } from './table-locks';
import { nodesIn, tableOf } from './parse-tree';
import type { Hazard } from '../../../contract/migration';

/** Why a statement removes or rewrites rows that cannot be had back; undefined where it does not. */
export function destroys(node: Node): string | undefined {
  if ('TruncateStmt' in node) return 'TRUNCATE removes every row';
  if ('DeleteStmt' in node) return `DELETE removes rows of ${tableOf(node.DeleteStmt.relation)}`;
  if ('UpdateStmt' in node) return `UPDATE overwrites rows of ${tableOf(node.UpdateStmt.relation)}`;
  if ('MergeStmt' in node) return `MERGE changes rows of ${tableOf(node.MergeStmt.relation)}`;
  // What code does cannot be told from here: a person looks at it.
  if ('DoStmt' in node || 'CallStmt' in node) return 'code that may change rows';
  if ('AlterTableStmt' in node) {
    const table = tableOf(node.AlterTableStmt.relation);
    for (const { subtype, name } of alterCommands(node.AlterTableStmt)) {
      if (subtype === 'AT_DropColumn') return `DROP COLUMN removes the values of ${table}.${name}`;
      if (subtype === 'AT_AlterColumnType') return `the values of ${table}.${name} are converted`;
    }
  }
  if ('DropStmt' in node) return destroysByDrop(node);
  if ('DropOwnedStmt' in node) return 'DROP OWNED removes every table of that role';
  if ('AlterSeqStmt' in node && hasOption(node.AlterSeqStmt.options, 'restart'))
    return 'RESTART makes the sequence give out numbers again';
  return destroysInside(node);
}

/** `WITH gone AS (DELETE ...) SELECT`, and INSERT that overwrites what is there. */
function destroysInside(node: Node): string | undefined {
  if (
    !['SelectStmt', 'InsertStmt', 'CreateTableAsStmt', 'ExplainStmt', 'PrepareStmt'].some(
      (kind) => kind in node,
    )
  )
    return undefined;
  for (const [kind, verb] of [
    ['DeleteStmt', 'DELETE removes'],
    ['UpdateStmt', 'UPDATE overwrites'],
    ['MergeStmt', 'MERGE changes'],
  ] as const) {
    const found = nodesIn(node, kind)[0];
    if (found !== undefined) return `${verb} rows of ${tableOf(found.relation)}`;
  }
  if ('InsertStmt' in node && node.InsertStmt.onConflictClause?.action === 'ONCONFLICT_UPDATE')
    return `ON CONFLICT DO UPDATE overwrites rows of ${tableOf(node.InsertStmt.relation)}`;
  return undefined;
}

/** Types and schemas take columns and tables along only with CASCADE; sequences forget where they were. */
function destroysByDrop({
  DropStmt: { removeType, behavior },
}: Extract<Node, { DropStmt: unknown }>): string | undefined {
  const kind = (removeType ?? '').replace('OBJECT_', '');
  if (['TABLE', 'FOREIGN_TABLE', 'SEQUENCE', 'EXTENSION'].includes(kind))
    return `DROP ${kind.replace('_', ' ')}`;
  const takesAlong = [
    'SCHEMA',
    'TYPE',
    'DOMAIN',
    'FUNCTION',
    'COLLATION',
    'OPERATOR',
    'AGGREGATE',
    'ACCESS_METHOD',
  ];
  return behavior === 'DROP_CASCADE' && takesAlong.includes(kind) ? `DROP ${kind} CASCADE` : undefined;
}

/** Removes whole tables or columns, or every row: never a part chosen by a condition. */
function destroysWholesale(node: Node): boolean {
  if ('UpdateStmt' in node || 'DoStmt' in node || 'CallStmt' in node || 'MergeStmt' in node) return false;
  if ('AlterSeqStmt' in node) return false;
  if ('DeleteStmt' in node) return node.DeleteStmt.whereClause === undefined;
  // A conversion of type is a matter of `table-rewrite`.
  if ('AlterTableStmt' in node)
    return alterCommands(node.AlterTableStmt).some(({ subtype }) => subtype === 'AT_DropColumn');
  return destroysInside(node) === undefined && destroys(node) !== undefined;
}

/** What a person should know before this migration runs, as far as the file itself tells. */
export function hazardsOf(up: Script, down: Script | null, downPath: string | undefined): Hazard[] {
  return [...losses(up), ...severalLocks(up), ...wholeUpdates(up), ...wayBack(up, down, downPath)];
}

export function hazard(
  script: Script,
  statement: Statement | undefined,
  level: Hazard['level'],
  rule: string,
  message: string,
): Hazard {
  return { migration: script.file, line: statement?.line ?? 1, level, rule, message };
}

function losses(up: Script): Hazard[] {
  const created = new Set(up.statements.flatMap(({ node }) => createdTables(node)));
  return up.statements.flatMap((statement) => {
    const why = destroys(statement.node);
    if (why === undefined || !destroysWholesale(statement.node)) return [];
    const touched = locksOf(statement.node);
    if (touched.length > 0 && touched.every(({ table }) => created.has(table))) return [];
    return [hazard(up, statement, 'error', 'data-loss', `${why}; only a restore brings it back`)];
  });
}

function severalLocks(up: Script): Hazard[] {
  if (!up.transactional) return [];
  const created = new Set(up.statements.flatMap(({ node }) => createdTables(node)));
  const locking = up.statements.filter(({ node }) => locksOf(node).some(({ table }) => !created.has(table)));
  const second = locking[1];
  if (second === undefined) return [];
  const tables = [...new Set(locking.flatMap(({ node }) => locksOf(node).map(({ table }) => table)))].join(
    ', ',
  );
  const why = `${locking.length} statements lock ${tables} until the end of one transaction; \`-- runbooks: split\` at the head commits each by itself`;
  return [hazard(up, second, 'warning', 'several-locks', why)];
}

function wholeUpdates(up: Script): Hazard[] {
  return up.statements.flatMap((statement) => {
    const { node } = statement;
    if (!('UpdateStmt' in node) || node.UpdateStmt.whereClause !== undefined) return [];
    const table = tableOf(node.UpdateStmt.relation);
    return [
      hazard(
        up,
        statement,
        'warning',
        'whole-table-update',
        `UPDATE of every row of ${table} locks each of them until COMMIT; do it in batches`,
      ),
    ];
  });
}

function wayBack(up: Script, down: Script | null, downPath = 'way back in this layout'): Hazard[] {
  if (down === null) {
    const why = `there is no ${downPath}: the way back is a restore`;
    return [hazard(up, undefined, 'warning', 'down-missing', why)];
  }
  return down.statements.flatMap((statement) => {
    const why = destroys(statement.node);
    return why === undefined
      ? []
      : [
          hazard(
            down,
            statement,
            'warning',
            'down-destroys-data',
            `${why}; the clone shows whether that gives everything back`,
          ),
        ];
  });
}

/** For people: `ALTER TABLE`, `CREATE INDEX` ... */
export function nameOfStatement({ text, node }: Statement): string {
  const words = /^[a-z]+(?:\s+[a-z]+)?/i.exec(text.replace(/^(?:--[^\n]*\n|\/\*[\s\S]*?\*\/|\s)+/, ''))?.[0];
  return words?.replace(/\s+/g, ' ').toUpperCase() ?? kindOf(node);
}
