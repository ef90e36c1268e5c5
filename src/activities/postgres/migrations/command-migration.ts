import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client, ClientBase, QueryArrayConfig } from 'pg';
import { serviceOf } from '../../../config/load';
import { scrub } from '../../../config/secrets';
import type { CommandConfig, ServiceConfig } from '../../../config/schema';
import type { ActivityDeps } from '../../support/deps';
import { longestRunMs, runConfiguredCommand } from '../../support/configured-command';
import { withClient } from '../session/connection';
import { endpointOf } from '../session/endpoint';
import { fail } from '../../support/failure';
import { applicationName, currentActivity } from '../../support/heartbeat';
import { underFence } from '../session/fence';
import { withHeldFence } from '../session/held-fence';
import { finishStarted, recordFinished, recordStarted, type LedgerEntry } from './ledger';
import { readMigrationState } from './ledger-state';
import { replicasFollow } from './replica-gate';
import { withRoleLockTimeout } from './role-lock-timeout';
import { migrationsDirectory } from './script-files';
import { serviceAt, type DatabaseRef, type Fence } from '../../../contract/place';
import type { Migration, MigrationRef } from '../../../contract/migration';

export interface CommandMigrationInput {
  /** Only of older runs: see `serviceAt`. */
  service?: string;
  database: DatabaseRef;
  fence: Fence;
  /** As it was approved; refused where command or files changed since. Default: as it is now. */
  migration?: MigrationRef;
}

export interface CommandMigrationResult {
  /** Names that the tool's own table has now and had not before; empty without `ledgerQuery`. */
  applied: string[];
  /** This very command with these very files had already succeeded here. */
  alreadyDone: boolean;
  durationMs: number;
}

function commandOf(deps: ActivityDeps, service: string): CommandConfig {
  const { command } = serviceOf(deps.config, service).migrations;
  if (command !== undefined) return command;
  throw fail('InvalidInput', `${service} has no \`migrations.command\`. Configure one, or apply SQL files.`);
}

/** Whether this migration is the configured command and no SQL file. */
export function isCommandMigration(
  { config }: ActivityDeps,
  service: string,
  { name }: MigrationRef,
): boolean {
  const { command } = serviceOf(config, service).migrations;
  return command !== undefined && name === nameOf(command);
}

function nameOf({ run }: CommandConfig): string {
  return `command ${scrub(run.join(' '))}`;
}

/** The configured command as a pending migration. What it will do is known to the tool only. */
export function describeCommand(deps: ActivityDeps, service: string): Migration {
  const command = commandOf(deps, service);
  const name = nameOf(command);
  const message =
    'it opens connections of its own: no fence and no ledger row in its transaction, one attempt, its way back is a restore';
  return {
    name,
    sha256: hashOf(deps, service),
    downSha256: null,
    statements: 0,
    transactional: false,
    hazards: [{ migration: name, line: 1, level: 'warning', rule: 'migration-command', message }],
  };
}

/** Over the command and every file in the migrations directory: an edited one needs another approval. */
function hashOf(deps: ActivityDeps, service: string): string {
  const hash = createHash('sha256').update(JSON.stringify(commandOf(deps, service).run));
  const directory = migrationsDirectory(deps, service);
  if (!existsSync(directory)) return hash.digest('hex');
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const paths = entries.map((entry) => join(entry.parentPath, entry.name)).sort();
  for (const path of paths) {
    hash
      .update(`\0${path.slice(directory.length)}\0`)
      .update(createHash('sha256').update(readFileSync(path)).digest());
  }
  return hash.digest('hex');
}

/** Runs the command once under the fence, with `lock_timeout` as a default of its role, and reads the tool's table. */
export async function runCommandMigration(
  deps: ActivityDeps,
  input: CommandMigrationInput,
): Promise<CommandMigrationResult> {
  const service = serviceAt(input);
  const command = commandOf(deps, service);
  const settings = serviceOf(deps.config, service).migrations;
  const endpoint = endpointOf(deps, input.database);
  const sha256 = hashOf(deps, service);
  if (input.migration !== undefined && input.migration.sha256 !== sha256) {
    throw fail(
      'MigrationChanged',
      `${nameOf(command)} or its files changed since they were approved. Nothing was changed. Start again.`,
    );
  }
  const entry: LedgerEntry = {
    migration: nameOf(command),
    direction: 'up',
    statement: 1,
    sha256,
    holder: applicationName(),
    token: input.fence.token,
  };
  const action = `run ${nameOf(command)}`;
  const held = { fence: input.fence, waitMs: longestRunMs(command), action };
  return withHeldFence(deps, input.database, held, async ({ client, hold, report }) => {
    if (input.database.kind === 'service')
      await replicasFollow({ client, settings, label: endpoint.label, stays: 'Nothing was changed', report });
    const startedAt = Date.now();
    const begun = await begin(client, { entry, fence: input.fence, settings, label: endpoint.label });
    if (begun === undefined) return { applied: [], alreadyDone: true, durationMs: 0 };
    const role = { timeoutMs: settings.lockTimeoutMs, leftOver: begun.leftOver };
    const durationMs = await hold(async (lost) => {
      await withRoleLockTimeout(deps, input.database, role, () =>
        runConfiguredCommand(deps, command, { DATABASE_URL: endpoint.url }, lost),
      );
      const tookMs = Date.now() - startedAt;
      await finishStarted(client, begun.row, tookMs);
      await recordFinished(client, { ...entry, statement: 0 }, tookMs);
      return tookMs;
    }).catch(async (error: unknown) => {
      throw await withReconciliation(deps, input, begun.before, error);
    });
    const after = await readToolLedger(client, settings);
    return { applied: after.filter((name) => !begun.before.includes(name)), alreadyDone: false, durationMs };
  });
}

interface Begin {
  entry: LedgerEntry;
  fence: Fence;
  settings: ServiceConfig['migrations'];
  label: string;
}

interface Begun {
  row: number;
  before: string[];
  /** An earlier run was killed and may have left its `lock_timeout` on the role. */
  leftOver: boolean;
}

/** The started row; undefined where this very command succeeded already. Refuses to run it twice on its own account. */
async function begin(client: Client, { entry, fence, settings, label }: Begin): Promise<Begun | undefined> {
  const before = await readToolLedger(client, settings);
  return underFence(client, fence, async () => {
    const { last, partial } = await readMigrationState(client, entry.migration);
    const open = partial?.rows.some(({ status }) => status === 'started') === true;
    if (currentActivity().attempt > 1) {
      if (last?.sha256 === entry.sha256 && !open) return undefined;
      if (open) throw interrupted(entry.migration, label, before, settings);
    }
    return { row: await recordStarted(client, entry), before, leftOver: open };
  });
}

function interrupted(
  name: string,
  label: string,
  known: string[],
  settings: ServiceConfig['migrations'],
): Error {
  const seen =
    settings.ledgerQuery === undefined
      ? 'Without `ledgerQuery` nobody can tell what it did.'
      : `Its own table has ${known.length} names now${known.length === 0 ? '' : `, the last ${known.slice(-3).join(', ')}`}.`;
  return fail(
    'MigrationFailed',
    `${name} on ${label} was interrupted, and it is not run a second time by itself: its outcome is unknown. ${seen} Look at the database; start again where it may run again.`,
  );
}

/** Names that the tool's own table has; empty where none is configured or the table does not exist yet. */
export async function readToolLedger(
  client: ClientBase,
  { ledgerQuery }: ServiceConfig['migrations'],
): Promise<string[]> {
  if (ledgerQuery === undefined) return [];
  await client.query('BEGIN TRANSACTION READ ONLY');
  try {
    const { rows } = await client.query<unknown[]>({
      text: ledgerQuery,
      rowMode: 'array',
      // One statement only: a second one could end the read-only transaction.
      queryMode: 'extended',
    } as QueryArrayConfig);
    return rows.map(([name]) => String(name));
  } catch (error) {
    // Before its first run the tool has no table.
    if ((error as { code?: string }).code === '42P01') return [];
    throw error;
  } finally {
    await client.query('ROLLBACK').catch(() => undefined);
  }
}

/** A failed command may have applied some of its migrations: its own table says which. */
async function withReconciliation(
  deps: ActivityDeps,
  input: CommandMigrationInput,
  before: string[],
  error: unknown,
): Promise<unknown> {
  if (currentActivity().signal.aborted || !(error instanceof Error)) return error;
  const settings = serviceOf(deps.config, serviceAt(input)).migrations;
  const after = await withClient(deps, input.database, (client) => readToolLedger(client, settings), {
    identity: true,
  }).catch(() => undefined);
  const applied = after?.filter((name) => !before.includes(name));
  const told =
    settings.ledgerQuery === undefined
      ? 'What it changed is unknown: configure `ledgerQuery` to be told.'
      : applied === undefined
        ? 'What it changed is unknown: its own table could not be read.'
        : applied.length === 0
          ? 'By its own table it applied nothing.'
          : `By its own table it applied ${applied.join(', ')}.`;
  return fail('CommandFailed', `${error.message} ${told}`);
}
