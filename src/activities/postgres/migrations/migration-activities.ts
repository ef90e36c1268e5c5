import type { ClientBase } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ServiceConfig } from '../../../config/schema';
import { suggestion } from '../../../config/problem-text';
import type { ActivityDeps } from '../../support/deps';
import { withClient } from '../session/connection';
import { fail } from '../../support/failure';
import { problemOf } from '../../support/http';
import { describeCommand, readToolLedger } from './command-migration';
import { excerptOf } from './excerpt';
import { hazard, hazardsOf } from './hazards';
import { readLedgerRows, type LedgerRow } from './ledger';
import { appliedIn, readAppliedOrBegun, stateIn, type AppliedEntry } from './ledger-state';
import { parseScript, type Script } from './parse';
import { findRewrites } from './rewrites';
import { appliedBefore, appliedByTool, earlierThan, outOfOrder } from './order';
import { requireRole } from './owner-role';
import { writingCalls } from './function-calls';
import { openMigrations, type MigrationFolder } from './script-files';
import { underFence } from '../session/fence';
import type { DatabaseRef, Fence, Place } from '../../../contract/place';
import type { Hazard, Migration, MigrationSet } from '../../../contract/migration';

export interface ReadMigrationsInput {
  service: string;
  environment: string;
  /** Names in the order in which they are to be applied; empty: everything that is not applied yet, by name. */
  files: string[];
  /** Migrations, or their scripts, that are mentioned elsewhere and must be there too. */
  mentioned?: string[];
}

/** What is not applied in an environment. */
export interface PendingMigrations {
  /** Null where it is not known. */
  count: number | null;
  /** The first few. */
  names: string[];
  problem?: string;
}

/** What is left out stands in a history, so it is bounded. */
const MAX_SKIPPED = 50;
const MAX_NAMED = 5;

/** Files and ledger, read only: a retry is safe. */
export function createMigrationActivities(deps: ActivityDeps) {
  const activities = {
    /**
     * What is pending and what is already applied. Throws InvalidInput, MigrationMissing, MigrationInvalid (empty, not
     * UTF-8, syntax, a statement that is not allowed) and MigrationConflict (applied with other content,
     * or its way back stopped half-way).
     */
    async readMigrations(input: ReadMigrationsInput): Promise<MigrationSet> {
      const { service, environment } = input;
      const byCommand = serviceOf(deps.config, service).migrations.command !== undefined;
      const folder = byCommand ? undefined : openMigrations(deps, service);
      if (folder !== undefined) refuseBadNames(folder, input);
      const database: DatabaseRef = { kind: 'service', service, environment };
      const read = (client: ClientBase) =>
        folder === undefined
          ? readCommand(deps, client, service)
          : readSet(deps, client, { ...input, folder });
      return withClient(deps, database, read, {
        identity: true,
        readOnly: true,
        action: 'read the ledger',
      });
    },

    /**
     * The migrations that are applied in a database now. With a `fence`, once nobody before can commit any more: a
     * transaction of an attempt that was given up may still be on its way. Throws StaleFencingToken, FenceBusy (tried again).
     */
    async readLedger({ database, fence }: { database: DatabaseRef; fence?: Fence }): Promise<AppliedEntry[]> {
      const read = (client: ClientBase) =>
        fence === undefined
          ? readAppliedOrBegun(client)
          : underFence(client, fence, () => readAppliedOrBegun(client));
      return withClient(deps, database, read, {
        identity: true,
        readOnly: fence === undefined,
        action: 'read the ledger',
      });
    },
  };

  return {
    ...activities,

    /** Names of what is not applied, for a warning: where that cannot be read it says why. Reads only. */
    async listPendingMigrations(place: Place): Promise<PendingMigrations> {
      const { service, environment } = place;
      try {
        const { pending } = await activities.readMigrations({ service, environment, files: [] });
        const names = pending.slice(0, MAX_NAMED).map(({ name }) => name);
        return { count: pending.length, names };
      } catch (error) {
        return { count: null, names: [], problem: problemOf(error) };
      }
    },
  };
}

function refuseBadNames(folder: MigrationFolder, { files, mentioned = [] }: ReadMigrationsInput): void {
  files.forEach(folder.entry);
  const twice = files.find((name, index) => files.indexOf(name) !== index);
  if (twice !== undefined) throw fail('InvalidInput', `${twice} is given twice. Give each file once.`);
  const known = folder.migrations.flatMap(({ name, up }) => [name, up]);
  const unknown = mentioned.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw fail(
      'InvalidInput',
      `accept: there is no migration ${unknown}${suggestion(unknown, known) || '.'} Nothing was changed.`,
    );
}

/** The configured command: applied when this very command succeeded here with these very files. */
async function readCommand(deps: ActivityDeps, client: ClientBase, service: string): Promise<MigrationSet> {
  const command = describeCommand(deps, service);
  const done = appliedIn(await readLedgerRows(client));
  const same = done.some(({ name, sha256 }) => name === command.name && sha256 === command.sha256);
  return same ? { pending: [], applied: [command.name] } : { pending: [command], applied: [] };
}

interface Wanted extends ReadMigrationsInput {
  folder: MigrationFolder;
}

async function readSet(deps: ActivityDeps, client: ClientBase, wanted: Wanted): Promise<MigrationSet> {
  const { service, environment, files, folder } = wanted;
  const settings = serviceOf(deps.config, service).migrations;
  await requireRole(client, settings.role, `${service}/${environment}`);
  const ledger = await readLedgerRows(client);
  const told = await readToolLedger(client, settings);
  const done = [...appliedIn(ledger), ...appliedByTool(folder, ledger, told)];
  const names = files.length > 0 ? files : folder.migrations.map(({ name }) => name);
  const pending: Migration[] = [];
  const applied: string[] = [];
  for (const name of names) {
    const { sha256 } = folder.up(name);
    if (stateIn(ledger, name).partial?.direction === 'down') throw halfBack(folder, name);
    const entry = done.find((one) => one.name === name);
    if (entry === undefined) {
      pending.push(await readMigration(client, { folder, name, ledger, applied: done, settings }));
      continue;
    }
    if (entry.sha256 !== sha256) throw conflict(name, entry.sha256, sha256);
    applied.push(name);
  }
  const earlier = earlierThan(folder, files, done);
  return {
    pending,
    // Who did not ask for a file by name need not hear that it was applied long ago.
    applied: files.length > 0 ? applied : [],
    ...(folder.skipped.length > 0 ? { skipped: folder.skipped.slice(0, MAX_SKIPPED) } : {}),
    ...(folder.skipped.length > MAX_SKIPPED ? { moreSkipped: folder.skipped.length - MAX_SKIPPED } : {}),
    ...(earlier.length > 0 ? { earlier } : {}),
    ...((await hasTables(client)) ? {} : { empty: true }),
  };
}

async function hasTables(client: ClientBase): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_|^information_schema$|^durable_runbooks$') AS there`,
  );
  return rows[0]!.there;
}

interface Pending {
  folder: MigrationFolder;
  name: string;
  ledger: LedgerRow[];
  applied: AppliedEntry[];
  settings: ServiceConfig['migrations'];
}

async function readMigration(
  client: ClientBase,
  { folder, name, ledger, applied, settings }: Pending,
): Promise<Migration> {
  const up = folder.up(name);
  const down = folder.down(name);
  const script = await parseScript(up.name, up.content);
  const downScript = down === undefined ? null : await parseScript(down.name, down.content);
  const rewrites = (await findRewrites(client, script)).map(({ statement, why }) =>
    hazard(script, statement, 'error', 'table-rewrite', why),
  );
  const calls = downScript === null ? [] : await writingCalls(client, downScript);
  return {
    name,
    ...(up.name === name ? {} : { file: up.name }),
    sha256: up.sha256,
    downSha256: down?.sha256 ?? null,
    sql: { up: await excerptOf(script), down: downScript === null ? null : await excerptOf(downScript) },
    statements: script.statements.length,
    transactional: script.transactional,
    permittedMs: permittedMs(settings, [script, downScript]),
    hazards: [
      ...rewrites,
      ...hazardsOf(script, downScript, folder.entry(name).downPath),
      ...calls,
      ...outOfOrder(script, name, { folder, applied }),
      ...appliedBefore(script, up.sha256, applied),
      ...unfinished(script, name, { sha256: up.sha256, ledger }),
    ],
  };
}

/** Each statement may wait for its lock, or for a build that an earlier attempt began, and then run. */
function permittedMs(
  { statementTimeoutSeconds, lockDeadlineSeconds }: ServiceConfig['migrations'],
  scripts: (Script | null)[],
): number {
  const most = Math.max(...scripts.map((script) => script?.statements.length ?? 0));
  return most * 2 * (statementTimeoutSeconds + lockDeadlineSeconds) * 1_000;
}

/** A script without one transaction around it that was killed in the middle: it is continued where it stopped. */
function unfinished(
  script: Script,
  name: string,
  { sha256, ledger }: { sha256: string; ledger: LedgerRow[] },
): Hazard[] {
  const { partial } = stateIn(ledger, name);
  if (partial === null) return [];
  const other = partial.rows.find((row) => row.sha256 !== sha256);
  if (other !== undefined) throw conflict(name, other.sha256, sha256);
  const done = partial.rows.filter(({ status }) => status === 'finished').length;
  const open = partial.rows.find(({ status }) => status === 'started');
  const statement = script.statements.find(({ number }) => number === open?.statement);
  const which = open === undefined ? '' : `; statement ${open.statement} was started and not finished`;
  const why = `it was applied in part before: ${done} of its statements are done${which}. It continues from there`;
  return [hazard(script, statement, 'warning', 'unfinished', why)];
}

/** Neither applied nor gone: what is left of it only its down script knows. */
function halfBack(folder: MigrationFolder, name: string): Error {
  const { down, downPath = 'way back' } = folder.entry(name);
  return fail(
    'MigrationConflict',
    `${name} is neither applied nor gone: its ${down ?? downPath} was started and stopped half-way. Nothing was changed now. ` +
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
