import type { Client } from 'pg';
import { fail } from '../../support/failure';
import { currentActivity } from '../../support/heartbeat';
import { withClient } from '../session/connection';
import { earlierLastingSessions, isAskedFor } from '../session/lasting';
import { tellToEnd } from '../session/own-sessions';
import { pause, type ApplyRun } from './apply-run';
import { findIndex, findLeftovers, type IndexState } from './index-state';
import { asOwner } from './owner-role';
import type { Statement } from './parse';

const POLL_MS = 200;
/** Cleaning up waits for old transactions too; what it cannot remove, the next try does. */
const CLEAN_UP_TIMEOUT_MS = 30_000;

/** The server ends a build of ours by then. */
function buildDeadline({ settings }: ApplyRun): number {
  return Date.now() + (settings.statementTimeoutSeconds + settings.lockDeadlineSeconds) * 1_000;
}

/**
 * A build that an attempt before began, and that goes on in the server, is waited for instead of being begun anew. Where
 * the run is cancelled meanwhile the build is too.
 */
export async function untilEarlierBuildEnds(
  run: ApplyRun,
  statement: Statement,
  searchPath: string,
): Promise<void> {
  const deadline = buildDeadline(run);
  try {
    while ((await earlierLastingSessions(run.watcher)).length > 0) {
      if (Date.now() >= deadline) throw stillBuilding(run, await findLeftovers(run.client, statement));
      run.report({ phase: 'waiting for the build that an earlier attempt began' });
      await pause(POLL_MS);
    }
  } catch (error) {
    if (isAskedFor(currentActivity().signal)) {
      await endEarlierBuild(run);
      await cleanUp(run, statement, searchPath);
    }
    throw error;
  }
}

async function endEarlierBuild(run: ApplyRun): Promise<void> {
  const end = async (client: Client): Promise<void> => {
    for (const until = Date.now() + CLEAN_UP_TIMEOUT_MS; Date.now() < until;) {
      const going = await earlierLastingSessions(client);
      if (going.length === 0) return;
      for (const session of going) await tellToEnd(client, session);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  // What cannot be ended now comes to its end by its statement_timeout.
  await withClient(run.deps, run.input.database, end, { identity: true, ignoreCancellation: true }).catch(
    () => undefined,
  );
}

/** Drops what an earlier try of ours left behind; waits while its backend is still at work. */
export async function dropLeftovers(run: ApplyRun, client: Client, statement: Statement): Promise<void> {
  const deadline = buildDeadline(run);
  for (;;) {
    const left = await findLeftovers(client, statement);
    if (!left.some(({ building }) => building)) {
      for (const { name } of left) await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      return;
    }
    if (Date.now() >= deadline) throw stillBuilding(run, left);
    run.report({ phase: `waiting for another build of ${left[0]?.name} to end` });
    await pause(POLL_MS);
  }
}

function stillBuilding(run: ApplyRun, left: IndexState[]): Error {
  return fail(
    'LockTimeout',
    `${left[0] === undefined ? 'An index' : `Index ${left[0].name}`} on ${run.label} is still being built by another session (look at pg_stat_progress_create_index). Nothing was changed. Start again when it has ended.`,
  );
}

/**
 * After a failure and also after a cancellation: an invalid index costs every write and helps no query. Returns whether
 * the statement is without any effect now, as far as that can be told.
 */
export async function cleanUp(run: ApplyRun, statement: Statement, searchPath: string): Promise<boolean> {
  const options = {
    identity: true,
    ignoreCancellation: true,
    lockTimeoutMs: 0,
    statementTimeoutMs: CLEAN_UP_TIMEOUT_MS,
  };
  const clean = async (client: Client): Promise<boolean> => {
    await client.query(`SELECT set_config('search_path', $1, false)`, [searchPath]);
    for (const { name, building } of await findLeftovers(client, statement)) {
      if (building) return false;
      await client.query(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
    }
    const { node } = statement;
    return (
      'ReindexStmt' in node || ('IndexStmt' in node && (await findIndex(client, statement)) === undefined)
    );
  };
  const cleanAsOwner = (client: Client) => asOwner(run, () => clean(client), client);
  return withClient(run.deps, run.input.database, cleanAsOwner, options).catch(() => false);
}
