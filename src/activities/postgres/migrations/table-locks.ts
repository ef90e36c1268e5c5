import type { AlterTableCmd, AlterTableStmt, CreateStmt, Node } from 'libpg-query';
import { strongest, type Blocks } from '../../../contract/locks';
import { namesOf, quoted, tableOf } from './parse-tree';
import { alterCommands, detachedBy, isFullVacuum, runsOutsideTransaction } from './statements';

export interface TableLock {
  /** Quoted name, as in the statement. */
  table: string;
  blocks: Blocks;
  /**
   * What is locked with it, see `LOCKED_RELATIONS`: `children`; its `default` partition; what is `referencing` it; with what
   * is `dropped` all that hangs together with it, or only with a `key:NAME` or a `column:NAME`.
   */
  brings?: string;
}

// https://www.postgresql.org/docs/current/sql-altertable.html: what does not take ACCESS EXCLUSIVE.
const LIGHTER_COMMANDS: Record<string, Blocks> = {
  AT_ValidateConstraint: 'nothing',
  AT_SetStatistics: 'nothing',
  AT_SetOptions: 'nothing',
  AT_ResetOptions: 'nothing',
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

/** Done to the table alone, also where others inherit from it. */
const NOT_INHERITED = new Set([
  'AT_AddInherit',
  'AT_DropInherit',
  'AT_AttachPartition',
  'AT_DetachPartition',
  'AT_ChangeOwner',
  'AT_EnableRowSecurity',
  'AT_DisableRowSecurity',
  'AT_ForceRowSecurity',
  'AT_NoForceRowSecurity',
  'AT_ReplicaIdentity',
  'AT_ClusterOn',
  'AT_DropCluster',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_SetLogged',
  'AT_SetUnLogged',
]);

/** The locks on existing tables that a statement asks for by name and that stop others. */
export function locksOf(node: Node): TableLock[] {
  return allLocks(node).filter(({ blocks, table }) => blocks !== 'nothing' && table !== '');
}

/** Locks of statements outside of a transaction that stop readers: they queue like any other such lock. */
export function locksOutside(node: Node): TableLock[] {
  const detached = detachedBy(node);
  return detached === undefined ? locksOf(node) : [{ table: detached.partition, blocks: 'reads' }];
}

function allLocks(node: Node): TableLock[] {
  if (runsOutsideTransaction(node)) return isFullVacuum(node) ? vacuumed(node) : [];
  if ('AlterTableStmt' in node) return alterLocks(node.AlterTableStmt);
  if ('IndexStmt' in node)
    return [{ table: tableOf(node.IndexStmt.relation), blocks: 'writes', brings: 'children' }];
  if ('CreateTrigStmt' in node)
    return [{ table: tableOf(node.CreateTrigStmt.relation), blocks: 'writes', brings: 'children' }];
  if ('CreateStmt' in node) return createLocks(node.CreateStmt);
  if ('DropStmt' in node) return dropLocks(node);
  if ('TruncateStmt' in node) {
    const { relations, behavior } = node.TruncateStmt;
    const referencing = behavior === 'DROP_CASCADE' ? relationsOf(relations, 'reads', 'referencing') : [];
    return [...relationsOf(relations, 'reads', 'children'), ...referencing];
  }
  if ('LockStmt' in node)
    return relationsOf(node.LockStmt.relations, blockedByMode(node.LockStmt.mode ?? 8), 'children');
  if ('RenameStmt' in node) return renameLocks(node);
  if ('AlterObjectSchemaStmt' in node)
    return [{ table: tableOf(node.AlterObjectSchemaStmt.relation), blocks: 'reads' }];
  if ('ClusterStmt' in node) return [{ table: tableOf(node.ClusterStmt.relation), blocks: 'reads' }];
  if ('ReindexStmt' in node) return [{ table: tableOf(node.ReindexStmt.relation), blocks: 'reads' }];
  if ('CreatePolicyStmt' in node) return [{ table: tableOf(node.CreatePolicyStmt.table), blocks: 'reads' }];
  if ('AlterPolicyStmt' in node) return [{ table: tableOf(node.AlterPolicyStmt.table), blocks: 'reads' }];
  if ('RuleStmt' in node) return [{ table: tableOf(node.RuleStmt.relation), blocks: 'reads' }];
  if ('ViewStmt' in node && node.ViewStmt.replace === true)
    return [{ table: tableOf(node.ViewStmt.view), blocks: 'reads' }];
  if ('RefreshMatViewStmt' in node) {
    const { relation, concurrent } = node.RefreshMatViewStmt;
    return [{ table: tableOf(relation), blocks: concurrent === true ? 'writes' : 'reads' }];
  }
  return [];
}

/** LOCK TABLE numbers the modes from ACCESS SHARE, 1, to ACCESS EXCLUSIVE, 8. */
function blockedByMode(mode: number): Blocks {
  if (mode >= 8) return 'reads';
  return mode >= 5 ? 'writes' : 'nothing';
}

function alterLocks({ relation, cmds, objtype }: AlterTableStmt): TableLock[] {
  const commands = alterCommands({ cmds: cmds ?? [] });
  const table = tableOf(relation);
  const blocks = commands
    .map((command) => (objtype === 'OBJECT_VIEW' ? 'reads' : strengthOf(command)))
    .reduce(strongest, 'nothing');
  const inherited =
    relation?.inh === true && commands.some(({ subtype }) => !NOT_INHERITED.has(subtype ?? ''));
  return [
    { table, blocks, ...(inherited ? { brings: 'children' } : {}) },
    ...commands.flatMap((command) => broughtBy(command, table)),
    ...referencesOf(commands.flatMap(({ def }) => def ?? [])),
  ];
}

function broughtBy({ subtype, name, def }: AlterTableCmd, table: string): TableLock[] {
  if (subtype === 'AT_DropColumn') return [{ table, blocks: 'reads', brings: `column:${name}` }];
  if (subtype === 'AT_DropConstraint') return [{ table, blocks: 'reads', brings: `key:${name}` }];
  if (def === undefined || !('PartitionCmd' in def)) return [];
  const partition: TableLock = { table: tableOf(def.PartitionCmd.name), blocks: 'reads' };
  return [partition, { table, blocks: 'reads', brings: 'only default' }];
}

function strengthOf({ subtype, def }: AlterTableCmd): Blocks {
  if (subtype === 'AT_AddConstraint' && def !== undefined && 'Constraint' in def) {
    return def.Constraint.contype === 'CONSTR_FOREIGN' ? 'writes' : 'reads';
  }
  return LIGHTER_COMMANDS[subtype ?? ''] ?? 'reads';
}

/** A partition locks its table and the default partition, which may hold rows of its own. */
function createLocks({ tableElts, inhRelations, partbound }: CreateStmt): TableLock[] {
  const parents = partbound === undefined ? [] : relationsOf(inhRelations, 'reads', 'default');
  return [...parents, ...referencesOf(tableElts)];
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

/** DROP of a trigger, policy or rule locks its table; that of a relation much of what hangs together with it. */
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
    if (onTable) return { table: quoted(...names.slice(0, -1)), blocks: 'reads', brings: 'children' };
    return { table: quoted(...names), blocks: 'reads', brings: 'dropped' };
  });
}

function renameLocks(node: Extract<Node, { RenameStmt: unknown }>): TableLock[] {
  const { relation, renameType } = node.RenameStmt;
  if (renameType === 'OBJECT_INDEX') return [];
  const inherited = renameType === 'OBJECT_COLUMN' && relation?.inh === true;
  return [{ table: tableOf(relation), blocks: 'reads', ...(inherited ? { brings: 'children' } : {}) }];
}

function relationsOf(list: Node[] | undefined, blocks: Blocks, brings: string): TableLock[] {
  return (list ?? []).flatMap((node) =>
    'RangeVar' in node ? [{ table: tableOf(node.RangeVar), blocks, brings }] : [],
  );
}

function vacuumed(node: Node): TableLock[] {
  if (!('VacuumStmt' in node)) return [];
  return (node.VacuumStmt.rels ?? []).flatMap((one) =>
    'VacuumRelation' in one
      ? [{ table: tableOf(one.VacuumRelation.relation), blocks: 'reads' as const }]
      : [],
  );
}
