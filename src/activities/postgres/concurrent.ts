import type { Client } from 'pg';
import { withClient } from '../support/connection';
import { fail, sqlStateOf } from '../support/failure';
import { fenceTimeoutMs, pause, type ApplyRun } from './apply-run';
import { takeFenceAndRead } from './apply-state';
import { describeBlockers, watchingBlockers } from './blockers';
import { findIndex, findLeftovers, isDropped, type IndexState } from './index-state';
import { recordFinished, recordStarted, type LedgerRow } from './ledger';
import { isSessionSetting } from './statements';
import type { Script, Statement } from './parse';
import { explainFailure, failAt } from './sql-error';

const pollMs = 200;
/** Cleaning up waits for old transactions too; what it cannot remove, the next try does. */
const cleanUpTimeoutMs = 30_000;

/**
 * Runs a statement that no transaction covers, between a started and a finished ledger row. A session of its own holds
 * the fence meanwhile, so nobody else of us can begin anything here, backups included. Returns whether it ran.
 * Throws MigrationConflict for an index of that name that is not ours, LockTimeout, MigrationFailed.
 */
export async function runOutsideTransaction(
  run: ApplyRun,
  statement: Statement,
  last: boolean,
): Promise<boolean> {
  const options = { identity: true, lockTimeoutMs: fenceTimeoutMs, idleInTransactionTimeoutMs: 0 };
  return withClient(
    run.deps,
    run.input.database,
    async (guard) => {
      const announced = await announce(run, guard, statement);
      if (announced === 'done') return false;
      const startedAt = Date.now();
      await guard.query('BEGIN');
      try {
        await takeFenceAndRead(run, guard);
        await execute(run, statement, announced === 'again');
        await finish(run, guard, { statement, last, durationMs: Date.now() - startedAt });
        await guard.query('COMMIT');
        return true;
      } catch (error) {
        await guard.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
    },
    options,
  );
}

/** Under the fence: whether it is to run, whether anything of that name is in the way, and the started row. */
async function announce(
  run: ApplyRun,
  guard: Client,
  statement: Statement,
): Promise<'done' | 'first' | 'again'> {
  await guard.query('BEGIN');
  try {
    const { done, finished, started } = await takeFenceAndRead(run, guard);
    const answer =
      done || finished.has(statement.number) ? 'done' : started.has(statement.number) ? 'again' : 'first';
    if (answer === 'first') {
      await refuseForeign(run, guard, statement);
      await recordStarted(guard, { ...run.entry, statement: statement.number });
    }
    await guard.query('COMMIT');
    return answer;
  } catch (error) {
    await guard.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** Before our own started row exists, whatever has that name was made by somebody else: not ours to drop or to trust. */
async function refuseForeign(run: ApplyRun, guard: Client, statement: Statement): Promise<void> {
  const { node } = statement;
  const leftovers = await findLeftovers(guard, statement);
  const index = leftovers[0] ?? (await findIndex(guard, statement));
  if (index === undefined) return;
  if (index.valid && 'IndexStmt' in node && node.IndexStmt.if_not_exists === true) return;
  const what = index.valid
    ? 'exists already'
    : index.building
      ? 'is being built by somebody else'
      : 'is invalid, left by a build that failed';
  throw failAt(run, statement, 'MigrationConflict', {
    why: `index ${index.name} ${what}; this migration did not make it.`,
    next: `Look at it, then DROP INDEX CONCURRENTLY ${index.name}; and start again.`,
    details: { index: index.name },
  });
}

/** An earlier try was killed after the work and before its finished row. */
async function isHappened(run: ApplyRun, statement: Statement): Promise<boolean> {
  const index = await findIndex(run.watcher, statement);
  if (index?.valid === true) return !isIfNotExists(statement);
  return isDropped(run.watcher, statement);
}

function isIfNotExists({ node }: Statement): boolean {
  return 'IndexStmt' in node && node.IndexStmt.if_not_exists === true;
}

async function execute(run: ApplyRun, statement: Statement, again: boolean): Promise<void> {
  for (;;) {
    await dropLeftovers(run, run.client, statement);
    if (again && (await isHappened(run, statement))) return;
    try {
      await send(run, statement);
    } catch (error) {
      await cleanUp(run, statement);
      // CREATE INDEX CONCURRENTLY waits for everybody, and can so become part of a deadlock.
      if (sqlStateOf(error) !== '40P01' || Date.now() >= run.deadline) throw explain(run, statement, error);
      await pause(10 * run.settings.lockTimeoutMs * (1 + Math.random()));
      continue;
    }
    const left = await findLeftovers(run.client, statement);
    if (left.length === 0) return;
    await cleanUp(run, statement);
    throw failAt(run, statement, 'MigrationFailed', {
      why: `index ${left[0]?.name} is invalid although the server reported success.`,
      next: 'Start again.',
    });
  }
}

/** A `lock_timeout` here would only leave invalid indexes: any old snapshot counts as a lock, that of a dump too. */
async function send(run: ApplyRun, statement: Statement): Promise<void> {
  const { statementTimeoutSeconds, lockDeadlineSeconds } = run.settings;
  const timeoutMs = Math.ceil((statementTimeoutSeconds + lockDeadlineSeconds) * 1_000);
  run.stats.lockAttempts += 1;
  run.report({ phase: `${run.input.direction}, outside a transaction` });
  await run.client.query(
    `SELECT set_config('lock_timeout', '0', false), set_config('statement_timeout', $1, false)`,
    [`${timeoutMs}ms`],
  );
  try {
    await watchingBlockers(run, () => run.client.query(statement.text));
  } finally {
    const usual = [`${fenceTimeoutMs}ms`, `${statementTimeoutSeconds * 1_000}ms`];
    await run.client
      .query(
        `SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)`,
        usual,
      )
      .catch(() => undefined);
  }
}

function explain(run: ApplyRun, statement: Statement, error: unknown): Error {
  const blockers = [...run.stats.blockers.values()];
  if (sqlStateOf(error) !== '57014' || blockers.length === 0) return explainFailure(run, statement, error);
  return failAt(run, statement, 'LockTimeout', {
    why: `it waited too long for transactions that are older than itself. Held by ${describeBlockers(blockers)}.`,
    next: 'End that transaction, or start again when it is over.',
    details: { blockers: blockers.slice(0, 10) },
  });
}

/** Drops what an earlier try of ours left behind; waits while its backend is still at work. */
async function dropLeftovers(run: ApplyRun, client: Client, statement: Statement): Promise<void> {
  for (;;) {
    const left = await findLeftovers(client, statement);
    if (!left.some(({ building }) => building)) {
      for (const { name } of left) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      return;
    }
    if (Date.now() >= run.deadline) throw stillBuilding(run, left);
    run.report({ phase: `waiting for another build of ${left[0]?.name} to end` });
    await pause(pollMs);
  }
}

function stillBuilding(run: ApplyRun, left: IndexState[]): Error {
  return fail(
    'LockTimeout',
    `Index ${left[0]?.name} on ${run.label} is still being built by another session (look at pg_stat_progress_create_index). Nothing was changed. Start again when it has ended.`,
  );
}

/** After a failure and also after a cancellation: an invalid index costs every write and helps no query. */
async function cleanUp(run: ApplyRun, statement: Statement): Promise<void> {
  const options = {
    identity: true,
    ignoreCancellation: true,
    lockTimeoutMs: 0,
    statementTimeoutMs: cleanUpTimeoutMs,
  };
  await withClient(
    run.deps,
    run.input.database,
    async (client) => {
      for (const { name, building } of await findLeftovers(client, statement)) {
        if (!building) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      }
    },
    options,
  ).catch(() => undefined);
}

interface Finished {
  statement: Statement;
  last: boolean;
  durationMs: number;
}

async function finish(
  run: ApplyRun,
  guard: Client,
  { statement, last, durationMs }: Finished,
): Promise<void> {
  await guard.query(
    `UPDATE durable_runbooks.ledger SET status = 'finished', finished_at = clock_timestamp(), duration_ms = $4
      WHERE migration = $1 AND direction = $2 AND statement = $3 AND status = 'started' AND sha256 = $5`,
    [run.entry.migration, run.entry.direction, statement.number, Math.round(durationMs), run.entry.sha256],
  );
  if (last) await recordFinished(guard, { ...run.entry, statement: 0 }, durationMs);
}

/**
 * A down script meets an up script that stopped half-way: removes what its killed builds left, and tells whether
 * nothing of it remains, so that there is nothing to take back.
 */
export async function clearHalfUp(run: ApplyRun, up: Script, rows: LedgerRow[]): Promise<boolean> {
  const started = new Set(rows.map(({ statement }) => statement));
  const touched = up.statements.filter(({ number, node }) => started.has(number) && !isSessionSetting(node));
  let remains = rows.some(({ status }) => status === 'finished');
  for (const statement of touched) {
    await dropLeftovers(run, run.client, statement);
    // Only of an index can be told from outside that it never came to be.
    remains ||= !('IndexStmt' in statement.node) || (await findIndex(run.client, statement)) !== undefined;
  }
  return !remains;
}
