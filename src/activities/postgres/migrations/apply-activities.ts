import { ApplicationFailure } from '@temporalio/common';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
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
import { parseScript, type Script, type Statement } from './parse';
import { findRewrites } from './rewrites';
import { downNameOf, findScriptFile, readScriptFile } from './script-files';
import { failAt } from './sql-error';
import { isSessionSetting } from './statements';
import { runTransaction } from './in-transaction';
import type { ApplyResult } from '../../../contract/migration';

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
      if (isCommandMigration(deps, input.service, input.migration)) return applyCommand(deps, input);
      const script = await readApproved(deps, input);
      const settings = serviceOf(deps.config, input.service).migrations;
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

/** The script as it was approved. Throws MigrationChanged where the file is another one by now. */
async function readApproved(
  deps: ActivityDeps,
  { service, migration, direction }: ApplyInput,
): Promise<Script> {
  if (direction === 'down' && migration.downSha256 === null) {
    throw fail(
      'MigrationMissing',
      `${migration.name} had no down script when it was approved. Its way back is a restore.`,
    );
  }
  const name = direction === 'up' ? migration.name : downNameOf(migration.name);
  const approved = direction === 'up' ? migration.sha256 : migration.downSha256;
  const file = readScriptFile(deps, service, name);
  if (file.sha256 !== approved) {
    throw fail(
      'MigrationChanged',
      `${name} changed since it was approved: SHA-256 ${approved?.slice(0, 12)} then, ${file.sha256.slice(0, 12)} now. Nothing was changed. Start again to have it rehearsed and approved.`,
    );
  }
  return parseScript(name, file.content);
}

async function apply(run: ApplyRun): Promise<ApplyResult> {
  const startedAt = Date.now();
  const ran = (await isNothingLeft(run)) ? false : await applyRest(run);
  const { blockers, ...measured } = run.stats;
  return {
    migration: run.entry.migration,
    direction: run.input.direction,
    alreadyDone: !ran,
    statements: run.script.statements.length,
    durationMs: Date.now() - startedAt,
    ...measured,
    blockers: [...blockers.values()].slice(0, 10),
  };
}

async function applyRest(run: ApplyRun): Promise<boolean> {
  if (run.input.allowRewrite !== true) await refuseRewrites(run);
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
async function isNothingLeft(run: ApplyRun): Promise<boolean> {
  const { done, halfUp } = await inTransaction(run.client, () => takeFenceAndRead(run, run.client));
  run.fenced = true;
  if (done || halfUp.length === 0) return done;
  const up = findScriptFile(run.deps, run.input.service, run.input.migration.name);
  if (up === undefined || up.sha256 !== halfUp[0]?.sha256) return false;
  if (!(await clearHalfUp(run, await parseScript(up.name, up.content), halfUp))) return false;
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
