import type { Node } from 'libpg-query';
import { constantsIn, nodesIn } from './parse-tree';

/** Settings that carry our guarantees: who we are, how long we wait, how long we may take, what is counted of it. */
const OUR_SETTINGS = [
  'lock_timeout',
  'statement_timeout',
  'transaction_timeout',
  'idle_in_transaction_session_timeout',
  'deadlock_timeout',
  'client_connection_check_interval',
  'application_name',
  'track_counts',
  'role',
  'session_authorization',
  'default_transaction_read_only',
  'default_transaction_isolation',
  'default_transaction_deferrable',
  'transaction_read_only',
  'transaction_isolation',
  'transaction_deferrable',
];

const SET_OURS = new RegExp(
  `\\b(?:set|reset)\\s+(?:(?:local|session)\\s+)?(${OUR_SETTINGS.join('|')}|session\\s+authorization|transaction|session\\s+characteristics)\\b`,
  'i',
);
const ENDS_TRANSACTION = /\b(commit|rollback)(?:\s+and\s+(?:no\s+)?chain)?\s*;/i;
const CONFIG_OURS = new RegExp(`\\bset_config\\s*\\(\\s*'(${OUR_SETTINGS.join('|')})'`, 'i');

/** Statements about the server or other databases: no transaction covers them and no retry of them is safe. */
const SERVER_WIDE: Record<string, string> = {
  CreatedbStmt: 'CREATE DATABASE',
  DropdbStmt: 'DROP DATABASE',
  AlterDatabaseStmt: 'ALTER DATABASE',
  CreateTableSpaceStmt: 'CREATE TABLESPACE',
  DropTableSpaceStmt: 'DROP TABLESPACE',
  AlterSystemStmt: 'ALTER SYSTEM',
  CreateSubscriptionStmt: 'CREATE SUBSCRIPTION',
  AlterSubscriptionStmt: 'ALTER SUBSCRIPTION',
  DropSubscriptionStmt: 'DROP SUBSCRIPTION',
};

/** Why a migration may not contain this statement, or undefined where it may. */
export function refusalOf(node: Node): string | undefined {
  const kind = Object.keys(node)[0] ?? '';
  if (kind === 'TransactionStmt') {
    return 'transaction control is not allowed: the file runs in a transaction of ours, together with its ledger row. Remove it; `-- runbooks: split` at the head of the file commits each statement by itself';
  }
  const server = SERVER_WIDE[kind];
  if (server !== undefined) return `${server} is not part of a migration of this database. Run it by itself`;
  if (kind === 'DiscardStmt')
    return 'DISCARD would drop the settings that keep this migration safe. Remove it';
  return (
    refusedSetting(node) ??
    refusedCopy(node) ??
    refusedIndex(node) ??
    refusedMaintenance(node) ??
    refusedBody(node)
  );
}

function refusedSetting(node: Node): string | undefined {
  const calls = nodesIn(node, 'FuncCall').filter(({ funcname }) => {
    const last = funcname?.at(-1);
    return last !== undefined && 'String' in last && last.String.sval === 'set_config';
  });
  for (const call of calls) {
    // A name that is put together could be any of them.
    const name = plainText(call.args?.[0]);
    if (name === undefined || OUR_SETTINGS.includes(name.toLowerCase())) return ours(name ?? 'set_config');
  }
  if (!('VariableSetStmt' in node)) return undefined;
  const { kind, name } = node.VariableSetStmt;
  if (kind === 'VAR_RESET_ALL') return ours('RESET ALL');
  if (kind === 'VAR_SET_MULTI') return 'SET TRANSACTION is not allowed: the transaction is ours. Remove it';
  return name !== undefined && OUR_SETTINGS.includes(name.toLowerCase()) ? ours(name) : undefined;
}

function plainText(arg: Node | undefined): string | undefined {
  return arg !== undefined && 'A_Const' in arg ? arg.A_Const.sval?.sval : undefined;
}

function ours(name: string): string {
  return `${name} is set by the configuration of the migration and not by the file. Remove the statement`;
}

function refusedCopy(node: Node): string | undefined {
  if (!('CopyStmt' in node) || node.CopyStmt.filename !== undefined) return undefined;
  return 'COPY FROM stdin and COPY TO stdout work in psql only. Write INSERT';
}

function refusedIndex(node: Node): string | undefined {
  if (!('IndexStmt' in node) || node.IndexStmt.concurrent !== true) return undefined;
  return node.IndexStmt.idxname === undefined
    ? 'CREATE INDEX CONCURRENTLY needs a name: a killed build can only be found again by it'
    : undefined;
}

function refusedMaintenance(node: Node): string | undefined {
  if (
    'ReindexStmt' in node &&
    !['REINDEX_OBJECT_INDEX', 'REINDEX_OBJECT_TABLE'].includes(node.ReindexStmt.kind ?? '')
  ) {
    return 'REINDEX of a schema or database is no migration. Name the index or the table';
  }
  if ('VacuumStmt' in node && node.VacuumStmt.is_vacuumcmd === true && node.VacuumStmt.rels === undefined) {
    return 'VACUUM of the whole database is no migration. Name the table';
  }
  if ('ClusterStmt' in node && node.ClusterStmt.relation === undefined)
    return 'CLUSTER needs the name of a table';
  return undefined;
}

/** Code in a string: looked at as text, because nobody parses every language there. */
function refusedBody(node: Node): string | undefined {
  if (!('DoStmt' in node)) return undefined;
  for (const text of constantsIn(node)) {
    const end = ENDS_TRANSACTION.exec(text)?.[1]?.toUpperCase();
    if (end !== undefined) return `${end} in a DO block would end the transaction, which is ours. Remove it`;
    const found = SET_OURS.exec(text)?.[1] ?? CONFIG_OURS.exec(text)?.[1];
    if (found !== undefined) return ours(found);
  }
  return undefined;
}
