import { ApplicationFailure } from '@temporalio/common';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { withClient } from '../session/connection';
import { withProgress } from '../../support/heartbeat';
import { withApplyRun, type ApplyInput, type ApplyRun, type OpenRun } from './apply-run';
import { takeFenceAndRead } from './apply-state';
import { inTransaction } from '../session/transaction';
import { clearHalfUp, runOutsideTransaction } from './outside-transaction';
import {
  isCommandMigration,
  runCommandMigration,
  type CommandMigrationInput,
  type CommandMigrationResult,
} from './command-migration';
import { recordFinished } from './ledger';
import { asOwner } from './owner-role';
import { parseScript, type Script, type Statement } from './parse';
import { untilReplicasFollow } from './replica-gate';
import { findRewrites } from './rewrites';
import { findKeptScript, keepScripts } from './kept-scripts';
import { openMigrations, type ScriptFile } from './script-files';
import { failAt } from './sql-error';
import { isSessionSetting } from './statements';
import { runTransaction } from './in-transaction';
import type { ApplyResult } from '../../../contract/migration';
import { serviceAt } from '../../../contract/place';

/** Applying migrations. The ledger at the target, read with the fence in hand, makes a retry safe. */
export function createApplyActivities(deps: ActivityDeps) {
  return {
    /**
     * Applies one migration, or takes it back with its down script. In one transaction together with its ledger row;
     * statement by statement where a statement allows no transaction or the file says `-- runbooks: split`.
     *
     * Throws MigrationMissing, MigrationChanged, MigrationInvalid (also a rewrite that nobody approved),
     * MigrationConflict, MigrationFailed, LockTimeout (nothing changed; blockers in the details), StaleFencingToken,
     * FenceBusy and DatabaseUnreachable (both tried again), WrongDatabase.
     */
    async applyMigration(input: ApplyInput): Promise<ApplyResult> {
      const service = serviceAt(input);
      if (isCommandMigration(deps, service, input.migration)) return applyCommand(deps, input);
      const { script, kept } = await readApproved(deps, input);
      const apply = (run: ApplyRun) => applyScript(run, kept);
      const settings = serviceOf(deps.config, service).migrations;
      const first = {
        phase: input.direction,
        done: 0,
        total: script.statements.length,
        unit: 'statements' as const,
      };
      return withProgress(first, async (report) => {
        const given: OpenRun = { deps, input, script, settings, report, fenced: false };
        try {
          return await withApplyRun(given, apply);
        } catch (error) {
          if (!isDoubtful(error)) throw error;
          // With the fence in hand the lost transaction is over: the ledger says whether it was committed.
          return { ...(await withApplyRun({ ...given, fenced: true }, apply)), alreadyDone: false };
        }
      });
    },

    /**
     * Runs the configured migration tool. Throws CommandFailed with what its own table shows, and never runs it a
     * second time by itself: it opens connections of its own, which no fence covers.
     */
    async runMigrationCommand(input: CommandMigrationInput): Promise<CommandMigrationResult> {
      return runCommandMigration(deps, input);
    },
  };
}

function isDoubtful(error: unknown): boolean {
  const details: unknown = error instanceof ApplicationFailure ? error.details?.[0] : undefined;
  return (details as { outcomeUnknown?: boolean } | undefined)?.outcomeUnknown === true;
}

interface Approved {
  script: Script;
  /** What goes into the database with it: the script itself and its way back. */
  kept: ScriptFile[];
}

/** The scripts as they were approved. Throws MigrationChanged where a file is another one by now. */
async function readApproved(deps: ActivityDeps, input: ApplyInput): Promise<Approved> {
  const { migration, direction } = input;
  if (direction === 'down') return { script: await readWayBack(deps, input), kept: [] };
  const folder = openMigrations(deps, serviceAt(input));
  const up = folder.up(migration.name);
  if (up.sha256 !== migration.sha256) throw changed(up.name, migration.sha256, up.sha256);
  const down = migration.downSha256 === null ? undefined : folder.down(migration.name);
  if (migration.downSha256 !== null && down?.sha256 !== migration.downSha256)
    throw changed(`The way back of ${migration.name}`, migration.downSha256, down?.sha256);
  return { script: await parseScript(up.name, up.content), kept: down === undefined ? [up] : [up, down] };
}

/** Where the file was edited or lost since, the text that was kept when the migration was applied. */
async function readWayBack(deps: ActivityDeps, input: ApplyInput): Promise<Script> {
  const { database, migration } = input;
  const { name, downSha256 } = migration;
  if (downSha256 === null)
    throw fail(
      'MigrationMissing',
      `${name} had no down script when it was approved. Its way back is a restore.`,
    );
  const file = findFile(deps, input, 'down');
  if (file?.sha256 === downSha256) return parseScript(file.name, file.content);
  const kept = await withClient(deps, database, (client) => findKeptScript(client, downSha256), {
    identity: true,
    readOnly: true,
    action: 'read the way back that was kept',
  });
  if (kept === undefined) throw changed(`The way back of ${name}`, downSha256, file?.sha256);
  return parseScript(kept.name, kept.content);
}

/** A folder that cannot be read any longer is as good as one without it. */
function findFile(deps: ActivityDeps, input: ApplyInput, which: 'up' | 'down'): ScriptFile | undefined {
  try {
    return openMigrations(deps, serviceAt(input))[which](input.migration.name);
  } catch {
    return undefined;
  }
}

function changed(what: string, then: string, now: string | undefined): Error {
  const since = now === undefined ? 'it is gone now' : `${now.slice(0, 12)} now`;
  return fail(
    'MigrationChanged',
    `${what} changed since it was approved: SHA-256 ${then.slice(0, 12)} then, ${since}. Nothing was changed. Start again to have it rehearsed and approved.`,
  );
}

async function applyScript(run: ApplyRun, kept: ScriptFile[]): Promise<ApplyResult> {
  const startedAt = Date.now();
  const ran = (await isNothingLeft(run, kept)) ? false : await applyRest(run);
  const { blockers, locks, ...measured } = run.stats;
  return {
    migration: run.entry.migration,
    direction: run.input.direction,
    alreadyDone: !ran,
    statements: run.script.statements.length,
    durationMs: Date.now() - startedAt,
    ...measured,
    blockers: [...blockers.values()].slice(0, 10),
    locks: locks.slice(0, 20),
  };
}

async function applyRest(run: ApplyRun): Promise<boolean> {
  if (run.input.allowRewrite !== true) await refuseRewrites(run);
  await untilReplicasFollow(run);
  return run.script.transactional ? applyWhole(run) : applySingly(run);
}

async function refuseRewrites(run: ApplyRun): Promise<void> {
  const [first] = await findRewrites(run.watcher, run.script);
  if (first === undefined) return;
  throw failAt(run, first.statement, 'MigrationInvalid', {
    why: `${first.why}.`,
    next: 'Add a column, fill it in batches and switch over; or accept "table-rewrite" for a quiet hour.',
  });
}

/** Answers from the ledger before anybody is made to wait, and settles what an up script left half-way. */
async function isNothingLeft(run: ApplyRun, kept: ScriptFile[]): Promise<boolean> {
  const { done, halfUp } = await inTransaction(run.client, async () => {
    const remaining = await takeFenceAndRead(run, run.client);
    if (!remaining.done) await keepScripts(run.client, kept);
    return remaining;
  });
  run.fenced = true;
  const begun = halfUp[0];
  if (done || begun === undefined) return done;
  const up = (await findKeptScript(run.client, begun.sha256)) ?? findFile(run.deps, run.input, 'up');
  if (up?.sha256 !== begun.sha256) return false;
  const script = await parseScript(up.name, up.content);
  if (!(await asOwner(run, () => clearHalfUp(run, script, halfUp)))) return false;
  await runTransaction(run, {
    statements: [],
    needed: (remaining) => !remaining.done,
    record: recordWhole(run),
  });
  return true;
}

function recordWhole(run: ApplyRun) {
  return (client: ApplyRun['client'], durationMs: number) =>
    recordFinished(client, { ...run.entry, statement: 0 }, durationMs);
}

async function applyWhole(run: ApplyRun): Promise<boolean> {
  return runTransaction(run, {
    statements: run.script.statements,
    needed: ({ done }) => !done,
    record: recordWhole(run),
  });
}

async function applySingly(run: ApplyRun): Promise<boolean> {
  const { statements } = run.script;
  const last = statements.findLast(({ node }) => !isSessionSetting(node));
  let ran = false;
  for (const statement of statements) {
    if (run.committed > 0) await untilReplicasFollow(run);
    if (isSessionSetting(statement.node)) await run.client.query(statement.text);
    else if (!statement.transactional)
      ran = (await runOutsideTransaction(run, statement, statement === last)) || ran;
    else ran = (await runAlone(run, statement, statement === last)) || ran;
    run.committed += 1;
    run.report({ done: statement.number });
  }
  return ran;
}

async function runAlone(run: ApplyRun, statement: Statement, last: boolean): Promise<boolean> {
  return runTransaction(run, {
    statements: [statement],
    needed: ({ done, finished }) => !done && !finished.has(statement.number),
    record: async (client, durationMs) => {
      await recordFinished(client, { ...run.entry, statement: statement.number }, durationMs);
      if (last) await recordFinished(client, { ...run.entry, statement: 0 }, durationMs);
    },
  });
}

/** A command as one migration among others, so that a run needs to know no difference. */
async function applyCommand(deps: ActivityDeps, input: ApplyInput): Promise<ApplyResult> {
  if (input.direction === 'down') {
    throw fail('MigrationMissing', `${input.migration.name} has no down script. Its way back is a restore.`);
  }
  const { durationMs, alreadyDone } = await runCommandMigration(deps, input);
  return {
    migration: input.migration.name,
    direction: 'up',
    alreadyDone,
    statements: 0,
    durationMs,
    lockAttempts: 1,
    longestBlockMs: 0,
    totalBlockMs: 0,
    blockers: [],
  };
}
