import type { AlterTableCmd, AlterTableStmt, DefElem, Node } from 'libpg-query';
import { constantsIn, tableOf } from './parse-tree';

/** The first word of a parse tree: what kind of statement it is. */
export function kindOf(node: Node): string {
  return Object.keys(node)[0] ?? '';
}

export function alterCommands(statement: AlterTableStmt): AlterTableCmd[] {
  return (statement.cmds ?? []).flatMap((node) => ('AlterTableCmd' in node ? [node.AlterTableCmd] : []));
}

export function hasOption(params: Node[] | undefined, name: string): boolean {
  const options = (params ?? []).flatMap((node): DefElem[] => ('DefElem' in node ? [node.DefElem] : []));
  return options.some(({ defname, arg }) => defname === name && !isOff(arg));
}

function isOff(arg: Node | undefined): boolean {
  if (arg === undefined) return false;
  if ('Boolean' in arg) return arg.Boolean.boolval !== true;
  return constantsIn(arg).some((word) => /^(off|false|0)$/i.test(word));
}

/** Whether PostgreSQL refuses this statement inside a transaction. */
export function runsOutsideTransaction(node: Node): boolean {
  if ('IndexStmt' in node) return node.IndexStmt.concurrent === true;
  if ('DropStmt' in node) return node.DropStmt.concurrent === true;
  if ('ReindexStmt' in node) return hasOption(node.ReindexStmt.params, 'concurrently');
  if ('VacuumStmt' in node) return node.VacuumStmt.is_vacuumcmd === true;
  if ('AlterTableStmt' in node) return alterCommands(node.AlterTableStmt).some(detachesConcurrently);
  return false;
}

function detachesConcurrently({ def }: AlterTableCmd): boolean {
  return def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.concurrent === true;
}

/**
 * ALTER TYPE ... ADD VALUE may run in a transaction, but the value can be used only after its COMMIT.
 * True where a later statement of the file names it.
 */
export function usesNewEnumValue(nodes: Node[]): boolean {
  return nodes.some((node, index) => {
    if (!('AlterEnumStmt' in node)) return false;
    const { newVal, oldVal } = node.AlterEnumStmt;
    if (newVal === undefined || oldVal !== undefined) return false;
    return nodes.slice(index + 1).some((later) => constantsIn(later).some((text) => text.includes(newVal)));
  });
}

/** Session settings are repeated on every attempt and have no ledger row. */
export function isSessionSetting(node: Node): boolean {
  return 'VariableSetStmt' in node;
}

export function isFullVacuum(node: Node): boolean {
  return 'VacuumStmt' in node && hasOption(node.VacuumStmt.options, 'full');
}

/** The partition that DETACH ... CONCURRENTLY takes out of its table; undefined for any other statement. */
export function detachedBy(node: Node): { parent: string; partition: string } | undefined {
  if (!('AlterTableStmt' in node)) return undefined;
  const command = alterCommands(node.AlterTableStmt).find(detachesConcurrently);
  if (command?.def === undefined || !('PartitionCmd' in command.def)) return undefined;
  return { parent: tableOf(node.AlterTableStmt.relation), partition: tableOf(command.def.PartitionCmd.name) };
}

/** Tables that the statement makes itself: nobody else can wait for them. */
export function createdTables(node: Node): string[] {
  if ('CreateStmt' in node) return [tableOf(node.CreateStmt.relation)];
  if ('CreateTableAsStmt' in node) return [tableOf(node.CreateTableAsStmt.into?.rel)];
  return [];
}
