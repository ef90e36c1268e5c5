import type { ClientBase } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { fail } from '../../support/failure';
import { describeCommand } from './command-migration';
import { downDestroysData, hazard, hazardsOf } from './hazards';
import { readLedgerRows, type LedgerRow } from './ledger';
import { appliedIn, readAppliedOrBegun, stateIn, type AppliedEntry } from './ledger-state';
import { parseScript, type Script } from './parse';
import { findRewrites } from './rewrites';
import {
  checkMigrationName,
  downNameOf,
  findScriptFile,
  listMigrationFiles,
  readScriptFile,
} from './script-files';
import type { DatabaseRef } from '../../../contract/place';
import type { Hazard, Migration, MigrationSet } from '../../../contract/migration';

export interface ReadMigrationsInput {
  service: string;
  environment: string;
  /** Names in the order in which they are to be applied; empty: everything that is not applied yet, by name. */
  files: string[];
}

/** Files and ledger, read only: a retry is safe. */
export function createMigrationActivities(deps: ActivityDeps) {
  return {
    /**
     * What is pending and what is already applied. Throws InvalidInput, MigrationMissing, MigrationInvalid (empty, not
     * UTF-8, syntax, a statement that is not allowed) and MigrationConflict (applied with other content,
     * or its way back stopped half-way).
     */
    async readMigrations({ service, environment, files }: ReadMigrationsInput): Promise<MigrationSet> {
      const byCommand = serviceOf(deps.config, service).migrations.command !== undefined;
      if (!byCommand) refuseBadNames(files);
      const database: DatabaseRef = { kind: 'service', service, environment };
      const read = (client: ClientBase) =>
        byCommand ? readCommand(deps, client, service) : readSet(deps, client, { service, files });
      return withClient(deps, database, read, {
        identity: true,
        readOnly: true,
        action: 'read the ledger',
      });
    },

    /** The migrations that are applied in a database now. */
    async readLedger({ database }: { database: DatabaseRef }): Promise<AppliedEntry[]> {
      return withClient(deps, database, readAppliedOrBegun, {
        identity: true,
        readOnly: true,
        action: 'read the ledger',
      });
    },
  };
}

function refuseBadNames(files: string[]): void {
  files.forEach(checkMigrationName);
  const twice = files.find((name, index) => files.indexOf(name) !== index);
  if (twice !== undefined) throw fail('InvalidInput', `${twice} is given twice. Give each file once.`);
}

/** The configured command: applied when this very command succeeded here with these very files. */
async function readCommand(deps: ActivityDeps, client: ClientBase, service: string): Promise<MigrationSet> {
  const command = describeCommand(deps, service);
  const done = appliedIn(await readLedgerRows(client));
  const same = done.some(({ name, sha256 }) => name === command.name && sha256 === command.sha256);
  return same ? { pending: [], applied: [command.name] } : { pending: [command], applied: [] };
}

async function readSet(
  deps: ActivityDeps,
  client: ClientBase,
  { service, files }: { service: string; files: string[] },
): Promise<MigrationSet> {
  const ledger = await readLedgerRows(client);
  const done = appliedIn(ledger);
  const names = files.length > 0 ? files : listMigrationFiles(deps, service);
  const pending: Migration[] = [];
  const applied: string[] = [];
  for (const name of names) {
    const { sha256 } = readScriptFile(deps, service, name);
    if (stateIn(ledger, name).partial?.direction === 'down') throw halfBack(name);
    const entry = done.find((one) => one.name === name);
    if (entry === undefined) {
      pending.push(await readMigration(deps, client, { service, name, ledger }));
      continue;
    }
    if (entry.sha256 !== sha256) throw conflict(name, entry.sha256, sha256);
    applied.push(name);
  }
  // Who did not ask for a file by name need not hear that it was applied long ago.
  return { pending, applied: files.length > 0 ? applied : [] };
}

async function readMigration(
  deps: ActivityDeps,
  client: ClientBase,
  { service, name, ledger }: { service: string; name: string; ledger: LedgerRow[] },
): Promise<Migration> {
  const up = readScriptFile(deps, service, name);
  const down = findScriptFile(deps, service, downNameOf(name));
  const script = await parseScript(name, up.content);
  const downScript = down === undefined ? null : await parseScript(down.name, down.content);
  const rewrites = (await findRewrites(client, script)).map(({ statement, why }) =>
    hazard(script, statement, 'error', 'table-rewrite', why),
  );
  return {
    name,
    sha256: up.sha256,
    downSha256: down?.sha256 ?? null,
    statements: script.statements.length,
    transactional: script.transactional,
    downDestroysData: downDestroysData(downScript),
    hazards: [
      ...rewrites,
      ...hazardsOf(script, downScript),
      ...outOfOrder(script, appliedIn(ledger)),
      ...unfinished(script, up.sha256, ledger),
    ],
  };
}

function outOfOrder(script: Script, ledger: AppliedEntry[]): Hazard[] {
  const later = ledger.filter(({ name }) => name > script.file).map(({ name }) => name);
  if (later.length === 0) return [];
  return [
    hazard(
      script,
      undefined,
      'warning',
      'out-of-order',
      `${later.at(-1)} was already applied, and by its name it comes later`,
    ),
  ];
}

/** A script without one transaction around it that was killed in the middle: it is continued where it stopped. */
function unfinished(script: Script, sha256: string, ledger: LedgerRow[]): Hazard[] {
  const { partial } = stateIn(ledger, script.file);
  if (partial === null) return [];
  const other = partial.rows.find((row) => row.sha256 !== sha256);
  if (other !== undefined) throw conflict(script.file, other.sha256, sha256);
  const done = partial.rows.filter(({ status }) => status === 'finished').length;
  const open = partial.rows.find(({ status }) => status === 'started');
  const statement = script.statements.find(({ number }) => number === open?.statement);
  const which = open === undefined ? '' : `; statement ${open.statement} was started and not finished`;
  const why = `it was applied in part before: ${done} of its statements are done${which}. It continues from there`;
  return [hazard(script, statement, 'warning', 'unfinished', why)];
}

/** Neither applied nor gone: what is left of it only its down script knows. */
function halfBack(name: string): Error {
  return fail(
    'MigrationConflict',
    `${name} is neither applied nor gone: its ${downNameOf(name)} was started and stopped half-way. Nothing was changed now. ` +
      `Finish the way back by hand and record it in durable_runbooks.ledger, or restore, and start again.`,
  );
}

function conflict(name: string, there: string, here: string): Error {
  return fail(
    'MigrationConflict',
    `${name} was applied with other content: the ledger has SHA-256 ${there.slice(0, 12)}, the file ${here.slice(0, 12)}. ` +
      `Nothing was changed. Restore the file as it was applied, and put what is new into a file of its own.`,
  );
}
