import type { ClientBase } from 'pg';
import { fail } from '../../support/failure';
import { applicationName, currentActivity } from '../../support/heartbeat';
import type { ApplyRun } from './apply-run';
import { keepFence, takeFence } from '../session/fence';
import type { LedgerRow } from './ledger';
import { readMigrationState, wasOvertaken } from './ledger-state';

export interface Remaining {
  /** The ledger says that there is nothing left to do. */
  done: boolean;
  /** Numbers of statements that are finished, of a script that runs in several transactions. */
  finished: Set<number>;
  /** Numbers of statements outside a transaction that were started and may have happened. */
  started: Set<number>;
  /** Up statements that a down script meets half-way; empty otherwise. */
  halfUp: LedgerRow[];
}

/**
 * First the fence, then the ledger: with the fence in hand no earlier attempt can still commit. Call it at the
 * beginning of a transaction. Once ours it is only kept: an attempt that everybody has given up, and that still waits
 * for a lock, must not take it back from the step that came after. Throws StaleFencingToken, FenceBusy, MigrationConflict.
 */
export async function takeFenceAndRead(run: ApplyRun, client: ClientBase): Promise<Remaining> {
  const { fence } = run.input;
  if (run.fenced) await keepFence(client, fence, run.entry.holder);
  else await takeFence(client, fence, currentActivity().attempt, applicationName());
  const { migration } = run.entry;
  if (await wasOvertaken(client, migration, run.entry.holder)) {
    throw fail(
      'StaleFencingToken',
      `A later attempt of this step has already worked on ${migration} in ${run.label}. Nothing was changed.`,
    );
  }
  return run.input.direction === 'up' ? remainingUp(run, client) : remainingDown(run, client);
}

async function remainingUp(run: ApplyRun, client: ClientBase): Promise<Remaining> {
  const { migration, sha256 } = run.entry;
  const { last, partial } = await readMigrationState(client, migration);
  if (partial?.direction === 'down') {
    throw conflict(run, `its down script stopped in the middle. Let the down script finish first`);
  }
  if (last?.direction === 'up') {
    if (last.sha256 !== sha256)
      throw conflict(
        run,
        `it is applied with other content (SHA-256 ${last.sha256.slice(0, 12)}). Put what is new into a file of its own`,
      );
    return { done: true, finished: new Set(), started: new Set(), halfUp: [] };
  }
  const rows = partial?.rows ?? [];
  const other = rows.find((row) => row.sha256 !== sha256);
  if (other !== undefined) {
    throw conflict(
      run,
      `it was applied in part with other content (SHA-256 ${other.sha256.slice(0, 12)}). Take that back first`,
    );
  }
  return { done: false, ...numbersOf(rows), halfUp: [] };
}

async function remainingDown(run: ApplyRun, client: ClientBase): Promise<Remaining> {
  const { migration } = run.entry;
  const { last, partial } = await readMigrationState(client, migration);
  if (last?.direction !== 'up' && partial === null)
    return { done: true, finished: new Set(), started: new Set(), halfUp: [] };
  if (last?.direction === 'up' && last.sha256 !== run.input.migration.sha256) {
    throw conflict(
      run,
      `it is applied with other content (SHA-256 ${last.sha256.slice(0, 12)}), which this down script does not belong to`,
    );
  }
  const mine =
    partial?.direction === 'down' ? partial.rows.filter((row) => row.sha256 === run.entry.sha256) : [];
  return { done: false, ...numbersOf(mine), halfUp: partial?.direction === 'up' ? partial.rows : [] };
}

function numbersOf(rows: LedgerRow[]): Pick<Remaining, 'finished' | 'started'> {
  const finished = new Set(
    rows.filter(({ status }) => status === 'finished').map(({ statement }) => statement),
  );
  const started = rows.filter(({ status, statement }) => status === 'started' && !finished.has(statement));
  return { finished, started: new Set(started.map(({ statement }) => statement)) };
}

function conflict(run: ApplyRun, why: string): Error {
  return fail(
    'MigrationConflict',
    `${run.entry.migration} cannot go ${run.input.direction} on ${run.label}: ${why}. Nothing was changed.`,
  );
}
