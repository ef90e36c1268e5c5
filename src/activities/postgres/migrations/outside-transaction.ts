import type { Client } from 'pg';
import { withClient } from '../session/connection';
import { whileLasting } from '../session/lasting';
import { inTransaction } from '../session/transaction';
import { sqlStateOf } from '../../support/failure';
import { FENCE_TIMEOUT_MS, newDeadline, pause, type ApplyRun } from './apply-run';
import { takeFenceAndRead } from './apply-state';
import { describeBlockers, watchingBlockers } from './blockers';
import { findIndex, findLeftovers, isDropped, partitionState } from './index-state';
import { cleanUp, dropLeftovers, untilEarlierBuildEnds } from './leftovers';
import { recordFinished, recordStarted, type LedgerRow } from './ledger';
import { detachedBy, isSessionSetting } from './statements';
import { locksOutside } from './table-locks';
import { BACK_OFF_FACTOR, countBlock, lockTimeout, waitUntilFree } from './in-transaction';
import { asOwner } from './owner-role';
import type { Script, Statement } from './parse';
import { explainFailure, failAt } from './sql-error';

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
  const options = { identity: true, lockTimeoutMs: FENCE_TIMEOUT_MS, idleInTransactionTimeoutMs: 0 };
  return withClient(
    run.deps,
    run.input.database,
    async (guard) => {
      const announced = await announce(run, guard, statement);
      if (announced === 'done') return false;
      const startedAt = Date.now();
      const trace: Trace = { nothingLeft: false };
      await guard.query('BEGIN');
      try {
        await takeFenceAndRead(run, guard);
        await asOwner(run, () => execute(run, statement, { again: announced === 'again', trace }));
        await finish(run, guard, { statement, last, durationMs: Date.now() - startedAt });
        await guard.query('COMMIT');
        return true;
      } catch (error) {
        await (trace.nothingLeft ? forget(run, guard, statement) : guard.query('ROLLBACK')).catch(
          () => undefined,
        );
        throw error;
      }
    },
    options,
  );
}

interface Trace {
  /** The statement failed and is without any effect. */
  nothingLeft: boolean;
}

/**
 * Under the fence: whether it is to run, for the first time or again, whether anything of that name is in the way, and
 * the started row. Looked at in the working session: the file may have set `search_path`.
 */
async function announce(
  run: ApplyRun,
  guard: Client,
  statement: Statement,
): Promise<'first' | 'again' | 'done'> {
  return inTransaction(guard, async () => {
    const { done, finished, started } = await takeFenceAndRead(run, guard);
    const needed = !done && !finished.has(statement.number);
    const again = started.has(statement.number);
    if (needed && !again) {
      await refuseForeign(run, statement);
      await recordStarted(guard, { ...run.entry, statement: statement.number });
    }
    return !needed ? 'done' : again ? 'again' : 'first';
  });
}

/** Before our own started row exists, whatever has that name was made by somebody else: not ours to drop or to trust. */
async function refuseForeign(run: ApplyRun, statement: Statement): Promise<void> {
  const { node } = statement;
  const leftovers = await findLeftovers(run.client, statement);
  const index = leftovers[0] ?? (await findIndex(run.client, statement));
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
  const index = await findIndex(run.client, statement);
  if (index?.valid === true) return !isIfNotExists(statement);
  return (await partitionState(run.client, statement)) === 'gone' || isDropped(run.client, statement);
}

function isIfNotExists({ node }: Statement): boolean {
  return 'IndexStmt' in node && node.IndexStmt.if_not_exists === true;
}

interface Execution {
  /** It was started before and may have happened. */
  again: boolean;
  trace: Trace;
}

async function execute(run: ApplyRun, statement: Statement, { again, trace }: Execution): Promise<void> {
  const searchPath = await searchPathOf(run.client);
  run.deadline = newDeadline(run.settings);
  for (;;) {
    await untilEarlierBuildEnds(run, statement, searchPath);
    await dropLeftovers(run, run.client, statement);
    if (again && (await isHappened(run, statement))) return;
    await waitUntilFree(run, { statements: [statement] }, locksOutside(statement.node));
    try {
      await send(run, statement);
    } catch (error) {
      trace.nothingLeft = (await cleanUp(run, statement, searchPath)) && sqlStateOf(error) !== undefined;
      // CREATE INDEX CONCURRENTLY waits for everybody, and can so become part of a deadlock.
      if (!['40P01', '55P03'].includes(sqlStateOf(error) ?? '')) throw explain(run, statement, error);
      if (Date.now() >= run.deadline)
        throw lockTimeout(run, { statements: [statement] }, locksOutside(statement.node));
      const waitMs = BACK_OFF_FACTOR * run.settings.lockTimeoutMs * (1 + Math.random());
      await pause(Math.max(0, Math.min(waitMs, run.deadline - Date.now())));
      continue;
    }
    const left = await findLeftovers(run.client, statement);
    if (left.length === 0) return;
    trace.nothingLeft = await cleanUp(run, statement, searchPath);
    throw failAt(run, statement, 'MigrationFailed', {
      why: `index ${left[0]?.name} is invalid although the server reported success.`,
      next: 'Start again.',
    });
  }
}

/**
 * For a build no `lock_timeout`: it would only leave invalid indexes, because any old snapshot counts as a lock, that of
 * a dump too. What stops readers once it queues (VACUUM FULL, the second half of a DETACH) gets the usual one.
 */
async function send(run: ApplyRun, statement: Statement): Promise<void> {
  const { statementTimeoutSeconds, lockDeadlineSeconds, lockTimeoutMs } = run.settings;
  const timeoutMs = Math.ceil((statementTimeoutSeconds + lockDeadlineSeconds) * 1_000);
  const stopsReaders = locksOutside(statement.node).length > 0;
  const startedAt = Date.now();
  run.stats.lockAttempts += 1;
  run.report({ phase: `${run.input.direction}, outside a transaction` });
  await run.client.query(
    `SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)`,
    [stopsReaders ? `${lockTimeoutMs}ms` : '0', `${timeoutMs}ms`],
  );
  try {
    const text = await textOf(run.client, statement);
    const work = () => watchingBlockers(run, () => run.client.query(text));
    await (isBuild(statement) ? whileLasting(run.client, work) : work());
  } finally {
    if (stopsReaders) countBlock(run, startedAt);
    const usual = [`${FENCE_TIMEOUT_MS}ms`, `${statementTimeoutSeconds * 1_000}ms`];
    await run.client
      .query(
        `SELECT set_config('lock_timeout', $1, false), set_config('statement_timeout', $2, false)`,
        usual,
      )
      .catch(() => undefined);
  }
}

/** Whether it has come to its end shows afterwards, which no other of these statements lets one see. */
function isBuild({ node }: Statement): boolean {
  return 'IndexStmt' in node;
}

/** A DETACH CONCURRENTLY that was stopped half-way cannot be repeated, only finalized. */
async function textOf(client: Client, statement: Statement): Promise<string> {
  const detached = detachedBy(statement.node);
  if (detached === undefined || (await partitionState(client, statement)) !== 'pending')
    return statement.text;
  return `ALTER TABLE ${detached.parent} DETACH PARTITION ${detached.partition} FINALIZE`;
}

async function searchPathOf(client: Client): Promise<string> {
  const { rows } = await client.query<{ path: string }>(`SELECT current_setting('search_path') AS path`);
  return rows[0]?.path ?? '';
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

/** A build that failed and left nothing never happened: the file may be corrected. */
async function forget(run: ApplyRun, guard: Client, { number }: Statement): Promise<void> {
  await guard.query(
    `DELETE FROM durable_runbooks.ledger
      WHERE migration = $1 AND direction = $2 AND statement = $3 AND status = 'started' AND sha256 = $4`,
    [run.entry.migration, run.entry.direction, number, run.entry.sha256],
  );
  await guard.query('COMMIT');
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
