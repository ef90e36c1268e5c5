import type { Client } from 'pg';
import { cancelBackend, processIdOf } from '../session/connection';
import { endpointOf } from '../session/endpoint';
import { fail, sqlStateOf } from '../../support/failure';
import { newDeadline, pause, type ApplyRun } from './apply-run';
import { takeFenceAndRead, type Remaining } from './apply-state';
import {
  describeBlockers,
  listHolders,
  noteBlocker,
  stopsOthers,
  watchingBlockers,
  type LockHolder,
} from './blockers';
import { LockRecord } from './lock-record';
import { asOwner } from './owner-role';
import type { Statement } from './parse';
import { rewrittenTables } from './rewrites';
import { explainFailure, failAt } from './sql-error';
import { createdTables } from './statements';
import { locksOf, type TableLock } from './table-locks';

export interface Work {
  statements: Statement[];
  /** Asked with the fence in hand: whether these statements are to run at all. */
  needed(remaining: Remaining): boolean;
  /** Writes the ledger rows, in the same transaction. */
  record(client: Client, durationMs: number): Promise<void>;
}

/** Others than us were in the way: trying again is safe, because the transaction is gone. */
const LOST_LOCK = new Set(['55P03', '40P01', '40001']);
/** Looking asks for no lock, so it may be done often. */
const LOOK_EVERY_MS = 200;
/** Between two tries everybody who waited behind us gets through. */
export const BACK_OFF_FACTOR = 10;
/** With no right to set `deadlock_timeout`: long enough for its default of 1 s to evict an autovacuum. */
const AUTOVACUUM_TIMEOUT_MS = 1_500;

/**
 * Runs statements and their ledger rows in one transaction, as often as it takes to get the locks before the deadline.
 * Returns whether they ran; false where the ledger has them already. Throws LockTimeout with whoever held the lock.
 */
export async function runTransaction(run: ApplyRun, work: Work): Promise<boolean> {
  const locks = wantedLocks(work.statements);
  run.deadline = newDeadline(run.settings);
  for (;;) {
    const holders = await waitUntilFree(run, work, locks);
    const backOffMs = await attempt(run, work, holders);
    if (typeof backOffMs === 'boolean') return backOffMs;
    // Never past the deadline, and never a last try without a timeout.
    await pause(Math.max(0, Math.min(backOffMs, run.deadline - Date.now())));
    if (Date.now() >= run.deadline) throw lockTimeout(run, work, locks);
  }
}

/** Tables that the statements make themselves have no other users. */
function wantedLocks(statements: Statement[]): TableLock[] {
  const created = new Set(statements.flatMap(({ node }) => createdTables(node)));
  return statements.flatMap(({ node }) => locksOf(node)).filter(({ table }) => !created.has(table));
}

/**
 * Whoever queues for a lock blocks everybody who comes later. So while a transaction that is older than our patience
 * holds the table, we only look. Where it is never the same one we queue all the same, as rarely as after a lost try.
 */
export async function waitUntilFree(
  run: ApplyRun,
  work: Pick<Work, 'statements'>,
  locks: TableLock[],
): Promise<LockHolder[]> {
  const { lockTimeoutMs } = run.settings;
  const since = Date.now();
  let first: Set<number> | undefined;
  for (;;) {
    const holders = await listHolders(run.watcher, locks);
    const stubborn = holders.filter(
      ({ yields, ageSeconds }) => !yields && ageSeconds * 1_000 >= lockTimeoutMs,
    );
    // It does not show as somebody who is waited for.
    for (const { yields: _, ...prepared } of holders.filter(({ pid }) => pid === 0))
      noteBlocker(run, prepared);
    if (stubborn.length === 0) return holders;
    for (const { yields: _, ...session } of stubborn) noteBlocker(run, session);
    first ??= new Set(stubborn.map(({ pid }) => pid));
    const changed = !stubborn.some(({ pid }) => first?.has(pid));
    if (changed && Date.now() - since > BACK_OFF_FACTOR * lockTimeoutMs) return holders;
    if (Date.now() >= run.deadline) throw lockTimeout(run, work, locks, stubborn);
    run.report({ phase: `waiting for ${nameOf(stubborn[0])} to let go of ${locks[0]?.table}` });
    await pause(Math.min(LOOK_EVERY_MS, Math.max(1, run.deadline - Date.now())));
  }
}

function nameOf(holder: LockHolder | undefined): string {
  return holder?.pid === 0 ? holder.application : `pid ${holder?.pid}`;
}

/** One try. True or false: it is over, and whether it ran. A number: the lock was not to be had, wait so long. */
async function attempt(run: ApplyRun, work: Work, holders: LockHolder[]): Promise<boolean | number> {
  const lockTimeoutMs =
    !run.evictsAutovacuum && holders.some(({ yields }) => yields)
      ? Math.max(AUTOVACUUM_TIMEOUT_MS, run.settings.lockTimeoutMs)
      : run.settings.lockTimeoutMs;
  const hold = { since: 0 };
  run.report({ phase: run.input.direction });
  run.stats.lockAttempts += 1;
  try {
    return await inTransaction(run, work, { lockTimeoutMs, hold });
  } catch (error) {
    await run.client.query('ROLLBACK').catch(() => undefined);
    if (!(error instanceof LockLost)) throw error;
    return lockTimeoutMs * BACK_OFF_FACTOR * (1 + Math.random());
  } finally {
    countBlock(run, hold.since);
  }
}

class LockLost extends Error {}

interface Limits {
  lockTimeoutMs: number;
  /** When the first lock that stops others was asked for; 0 before that. */
  hold: Hold;
}

interface Hold {
  since: number;
  /** A statement was cancelled because of what it held, although its text did not show it. */
  stopped?: boolean;
}

async function inTransaction(run: ApplyRun, work: Work, limits: Limits): Promise<boolean> {
  const { client } = run;
  const startedAt = Date.now();
  await client.query('BEGIN');
  if (!work.needed(await takeFenceAndRead(run, client))) {
    await client.query('ROLLBACK');
    return false;
  }
  const own = new Set<string>();
  const record = new LockRecord(client, run.watcher);
  await asOwner(run, async () => {
    for (const statement of work.statements) {
      await runStatement(run, statement, { limits, own, record });
      for (const table of createdTables(statement.node)) own.add(table);
      run.report({ done: statement.number });
    }
  });
  await client.query(`SET LOCAL lock_timeout = '5s'`);
  await work.record(client, Date.now() - startedAt);
  const last = work.statements.at(-1);
  if (last !== undefined && limits.hold.since > 0 && Date.now() > limits.hold.since + holdLimitMs(run)) {
    throw heldTooLong(run, last);
  }
  await commit(run, last);
  run.stats.locks.push(...record.measured());
  return true;
}

async function runStatement(
  run: ApplyRun,
  statement: Statement,
  { limits, own, record }: { limits: Limits; own: Set<string>; record: LockRecord },
): Promise<void> {
  const { client } = run;
  const wanted = locksOf(statement.node).filter(({ table }) => !own.has(table));
  const locks = wanted.length > 0;
  const predicted = await record.predict(wanted);
  if (locks && limits.hold.since === 0) limits.hold.since = Date.now();
  const timeoutMs = statementTimeoutMs(run, limits);
  const startedAt = Date.now();
  if (timeoutMs <= 0) throw heldTooLong(run, statement);
  await client.query(
    `SELECT set_config('lock_timeout', $1, true), set_config('statement_timeout', $2, true)`,
    [`${limits.lockTimeoutMs}ms`, `${Math.ceil(timeoutMs)}ms`],
  );
  try {
    await watchingBlockers(
      run,
      () => client.query(statement.text),
      () => stopLongHold(run, limits.hold, startedAt),
    );
    if (limits.hold.since === 0 || locks || !changesRowsOnly(statement)) {
      const stops = await record.look({ line: statement.line, since: startedAt }, predicted);
      // From when it began: it may have waited for the lock all the time.
      if (stops) limits.hold.since ||= startedAt;
    }
  } catch (error) {
    const sqlState = sqlStateOf(error) ?? '';
    if (LOST_LOCK.has(sqlState)) limits.hold.since ||= startedAt;
    if (LOST_LOCK.has(sqlState)) throw new LockLost(sqlState);
    if (sqlState === '57014' && limits.hold.stopped === true) throw heldTooLong(run, statement);
    // A cancellation by somebody else comes earlier than the timeout.
    const ranOut =
      timeoutMs < run.settings.statementTimeoutSeconds * 1_000 && Date.now() - startedAt >= timeoutMs - 50;
    if (sqlState === '57014' && ranOut) throw heldTooLong(run, statement);
    throw explainFailure(run, statement, error);
  }
  if (run.input.allowRewrite === true || !(locks || runsCode(statement))) return;
  const rewritten = await rewrittenTables(client, run.watcher);
  if (rewritten.length > 0) throw refusedRewrite(run, statement, rewritten);
}

/** The text of a block or a call does not tell what it locks, so its `statement_timeout` cannot be set by that. */
async function stopLongHold(run: ApplyRun, hold: Hold, startedAt: number): Promise<void> {
  if (hold.since === 0 && !(await stopsOthers(run))) return;
  hold.since ||= startedAt;
  if (hold.stopped === true || Date.now() <= hold.since + holdLimitMs(run)) return;
  hold.stopped = true;
  await cancelBackend(endpointOf(run.deps, run.input.database), processIdOf(run.client));
}

/** What a block or a function does shows only afterwards. */
function runsCode({ node }: Statement): boolean {
  return 'DoStmt' in node || 'CallStmt' in node || 'SelectStmt' in node;
}

function changesRowsOnly({ node }: Statement): boolean {
  return 'InsertStmt' in node || 'UpdateStmt' in node || 'DeleteStmt' in node;
}

/** Waiting is bounded by `lock_timeout`, each time; what is bounded here is holding, all together. */
function statementTimeoutMs(run: ApplyRun, { hold, lockTimeoutMs }: Limits): number {
  const ownMs = run.settings.statementTimeoutSeconds * 1_000;
  if (hold.since === 0) return ownMs;
  const leftMs = hold.since + holdLimitMs(run) - Date.now();
  return leftMs <= 0 ? 0 : Math.min(ownMs, leftMs + lockTimeoutMs);
}

function holdLimitMs({ input, settings }: ApplyRun): number {
  return input.allowRewrite === true
    ? settings.statementTimeoutSeconds * 1_000
    : Math.max(settings.maxLockHoldSeconds * 1_000, 10 * settings.lockTimeoutMs);
}

/** Nothing else is asked of the session before the answer: a lost one leaves us in doubt, see `settleDoubt`. */
async function commit(run: ApplyRun, last: Statement | undefined): Promise<void> {
  try {
    await run.client.query('COMMIT');
  } catch (error) {
    const sqlState = sqlStateOf(error);
    if (sqlState !== undefined && LOST_LOCK.has(sqlState)) throw new LockLost(sqlState);
    if (sqlState !== undefined && !/^(08|57)/.test(sqlState) && last !== undefined)
      throw explainFailure(run, last, error);
    throw fail(
      'DatabaseUnreachable',
      `The connection to ${run.label} was lost while ${run.script.file} was being committed: whether it was is read from the ledger next.`,
      { retryable: true, details: { outcomeUnknown: true } },
    );
  }
}

export function countBlock({ stats }: ApplyRun, since: number): void {
  if (since === 0) return;
  const ms = Date.now() - since;
  stats.totalBlockMs += ms;
  stats.longestBlockMs = Math.max(stats.longestBlockMs, ms);
}

function heldTooLong(run: ApplyRun, statement: Statement): Error {
  return failAt(run, statement, 'MigrationFailed', {
    why: `others would have been kept waiting for longer than ${holdLimitMs(run) / 1_000} s in all, so it was stopped.`,
    next: 'Split the file (`-- runbooks: split`), avoid scanning the table under the lock (NOT VALID, then VALIDATE; CONCURRENTLY), or accept "table-rewrite" for a quiet hour.',
  });
}

function refusedRewrite(run: ApplyRun, statement: Statement, tables: string[]): Error {
  return failAt(run, statement, 'MigrationInvalid', {
    why: `it writes ${tables.join(', ')} anew while nobody can read it.`,
    next: 'Add a column, fill it in batches and switch over; or accept "table-rewrite" for a quiet hour.',
    details: { tables },
  });
}

export function lockTimeout(
  run: ApplyRun,
  { statements }: Pick<Work, 'statements'>,
  locks: TableLock[],
  now: LockHolder[] = [],
): Error {
  const blockers =
    now.length > 0 ? now.map(({ yields: _, ...session }) => session) : [...run.stats.blockers.values()];
  const statement = statements.find(({ node }) => locksOf(node).length > 0) ?? statements[0];
  const tables = [...new Set(locks.map(({ table }) => table))].join(', ');
  const told = {
    why: `${tables === '' ? 'a lock' : tables} could not be locked within ${run.settings.lockDeadlineSeconds} s (${run.stats.lockAttempts} tries). Held by ${describeBlockers(blockers)}.`,
    next: 'End that transaction, or start again when it is over.',
    details: { blockers: blockers.slice(0, 10), lockAttempts: run.stats.lockAttempts },
  };
  return statement === undefined
    ? fail('LockTimeout', told.why)
    : failAt(run, statement, 'LockTimeout', told);
}
