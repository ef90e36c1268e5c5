import type { AlterTableCmd, AlterTableStmt, DefElem, Node } from 'libpg-query';
import { constantsIn, namesOf, quoted, tableOf } from './parse-tree';

/** How strongly a statement locks; the order is that of what they stop. `reads` stops everything. */
export type Blocks = 'nothing' | 'writes' | 'reads';

export interface TableLock {
  /** Quoted name, as in the statement. */
  table: string;
  blocks: Blocks;
}

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

// https://www.postgresql.org/docs/current/sql-altertable.html: what does not take ACCESS EXCLUSIVE.
const LIGHTER_COMMANDS: Record<string, Blocks> = {
  AT_ValidateConstraint: 'nothing',
  AT_SetStatistics: 'nothing',
  AT_ClusterOn: 'nothing',
  AT_DropCluster: 'nothing',
  AT_AttachPartition: 'nothing',
  AT_SetRelOptions: 'nothing',
  AT_ResetRelOptions: 'nothing',
  AT_EnableTrig: 'writes',
  AT_DisableTrig: 'writes',
  AT_EnableTrigAll: 'writes',
  AT_DisableTrigAll: 'writes',
  AT_EnableTrigUser: 'writes',
  AT_DisableTrigUser: 'writes',
};

/** The locks on existing tables that a statement asks for by name and that stop others. */
export function locksOf(node: Node): TableLock[] {
  return allLocks(node).filter(({ blocks, table }) => blocks !== 'nothing' && table !== '');
}

function allLocks(node: Node): TableLock[] {
  if (runsOutsideTransaction(node)) return isFullVacuum(node) ? vacuumed(node) : [];
  if ('AlterTableStmt' in node) return alterLocks(node.AlterTableStmt);
  if ('IndexStmt' in node) return [{ table: tableOf(node.IndexStmt.relation), blocks: 'writes' }];
  if ('CreateTrigStmt' in node) return [{ table: tableOf(node.CreateTrigStmt.relation), blocks: 'writes' }];
  if ('CreateStmt' in node) return referencesOf(node.CreateStmt.tableElts);
  if ('DropStmt' in node) return dropLocks(node);
  if ('TruncateStmt' in node) return relationsOf(node.TruncateStmt.relations, 'reads');
  if ('LockStmt' in node)
    return relationsOf(node.LockStmt.relations, (node.LockStmt.mode ?? 0) >= 8 ? 'reads' : 'writes');
  if ('RenameStmt' in node) return [{ table: tableOf(node.RenameStmt.relation), blocks: 'reads' }];
  if ('AlterObjectSchemaStmt' in node)
    return [{ table: tableOf(node.AlterObjectSchemaStmt.relation), blocks: 'reads' }];
  if ('ClusterStmt' in node) return [{ table: tableOf(node.ClusterStmt.relation), blocks: 'reads' }];
  if ('ReindexStmt' in node) return [{ table: tableOf(node.ReindexStmt.relation), blocks: 'reads' }];
  if ('CreatePolicyStmt' in node) return [{ table: tableOf(node.CreatePolicyStmt.table), blocks: 'reads' }];
  if ('AlterPolicyStmt' in node) return [{ table: tableOf(node.AlterPolicyStmt.table), blocks: 'reads' }];
  if ('RuleStmt' in node) return [{ table: tableOf(node.RuleStmt.relation), blocks: 'reads' }];
  if ('ViewStmt' in node && node.ViewStmt.replace === true)
    return [{ table: tableOf(node.ViewStmt.view), blocks: 'reads' }];
  if ('RefreshMatViewStmt' in node)
    return [{ table: tableOf(node.RefreshMatViewStmt.relation), blocks: 'reads' }];
  return [];
}

function alterLocks(statement: AlterTableStmt): TableLock[] {
  const commands = alterCommands(statement);
  const table = tableOf(statement.relation);
  const own = commands.map((command): TableLock => ({ table, blocks: strengthOf(command) }));
  const strongest =
    own.find(({ blocks }) => blocks === 'reads') ?? own.find(({ blocks }) => blocks === 'writes');
  return [
    ...(strongest === undefined ? [] : [strongest]),
    ...referencesOf(commands.flatMap(({ def }) => def ?? [])),
  ];
}

function strengthOf({ subtype, def }: AlterTableCmd): Blocks {
  if (subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def) {
    return def.Constraint.contype === 'CONSTR_FOREIGN' ? 'writes' : 'reads';
  }
  return LIGHTER_COMMANDS[subtype ?? ''] ?? 'reads';
}

/** A foreign key also locks the table that it points to. */
function referencesOf(elements: Node[] | undefined): TableLock[] {
  return (elements ?? []).flatMap((node) => {
    const constraints = 'ColumnDef' in node ? (node.ColumnDef.constraints ?? []) : [node];
    return constraints.flatMap((one): TableLock[] =>
      'Constraint' in one && one.Constraint.pktable !== undefined
        ? [{ table: tableOf(one.Constraint.pktable), blocks: 'writes' }]
        : [],
    );
  });
}

/** DROP of an index, trigger or policy locks its table too; the server finds that one, we look at what is named. */
function dropLocks(node: Extract<Node, { DropStmt: unknown }>): TableLock[] {
  const { objects, removeType } = node.DropStmt;
  const onTable = ['OBJECT_TRIGGER', 'OBJECT_POLICY', 'OBJECT_RULE'].includes(removeType ?? '');
  const relations = [
    'OBJECT_TABLE',
    'OBJECT_INDEX',
    'OBJECT_VIEW',
    'OBJECT_MATVIEW',
    'OBJECT_SEQUENCE',
    'OBJECT_FOREIGN_TABLE',
  ];
  if (!onTable && !relations.includes(removeType ?? '')) return [];
  return (objects ?? []).map((object): TableLock => {
    const names = 'List' in object ? namesOf(object.List.items) : [];
    return { table: quoted(...(onTable ? names.slice(0, -1) : names)), blocks: 'reads' };
  });
}

function relationsOf(list: Node[] | undefined, blocks: Blocks): TableLock[] {
  return (list ?? []).flatMap((node) =>
    'RangeVar' in node ? [{ table: tableOf(node.RangeVar), blocks }] : [],
  );
}

export function isFullVacuum(node: Node): boolean {
  return 'VacuumStmt' in node && hasOption(node.VacuumStmt.options, 'full');
}

function vacuumed(node: Node): TableLock[] {
  if (!('VacuumStmt' in node)) return [];
  return (node.VacuumStmt.rels ?? []).flatMap((one) =>
    'VacuumRelation' in one
      ? [{ table: tableOf(one.VacuumRelation.relation), blocks: 'reads' as const }]
      : [],
  );
}

/** The partition that DETACH ... CONCURRENTLY takes out of its table; undefined for any other statement. */
export function detachedBy(node: Node): { parent: string; partition: string } | undefined {
  if (!('AlterTableStmt' in node)) return undefined;
  const command = alterCommands(node.AlterTableStmt).find(detachesConcurrently);
  if (command?.def === undefined || !('PartitionCmd' in command.def)) return undefined;
  return { parent: tableOf(node.AlterTableStmt.relation), partition: tableOf(command.def.PartitionCmd.name) };
}

/** Locks of statements outside of a transaction that stop readers: they queue like any other such lock. */
export function locksOutside(node: Node): TableLock[] {
  const detached = detachedBy(node);
  return detached === undefined ? locksOf(node) : [{ table: detached.partition, blocks: 'reads' }];
}

/** Tables that the statement makes itself: nobody else can wait for them. */
export function createdTables(node: Node): string[] {
  if ('CreateStmt' in node) return [tableOf(node.CreateStmt.relation)];
  if ('CreateTableAsStmt' in node) return [tableOf(node.CreateTableAsStmt.into?.rel)];
  return [];
}
