import type { Client } from 'pg';
import { ApplicationFailure } from '@temporalio/common';
import type { DatabaseRef, Fence } from '../../../contract/place';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { applicationName, withProgress, type Progress } from '../../support/heartbeat';
import { withClient } from './connection';
import { fenceSession, keepFence } from './fence';
import { commit, inTransaction } from './transaction';

export interface HeldFence {
  client: Client;
  report(changed: Partial<Progress>): void;
  /**
   * Runs `work` while this session holds the fence, in one transaction of it. `lost` is aborted when the session is: what
   * `work` has started must end then, because nobody is kept out any more.
   */
  hold<T>(work: (lost: AbortSignal) => Promise<T>): Promise<T>;
}

interface HoldOptions {
  fence: Fence;
  /** How long to wait for whoever holds it: an earlier attempt's program may still run. */
  waitMs: number;
  /** Also where the database takes no writes: the fence is none of its data. */
  evenReadOnly?: boolean;
  action: string;
}

const TRY_MS = 5_000;
const ASK_EVERY_MS = 5_000;
/** Less than the server needs to give up a host that has gone: the program must have ended by then. */
const SILENT_MS = 10_000;

/**
 * Takes the fence in a session of its own that lives as long as `body`, for programs that cannot look at it themselves.
 * A second attempt does not end that session: it waits until the first has ended, with its program. Throws
 * StaleFencingToken and, where the holder stays for longer than `waitMs`, FenceBusy (tried again).
 */
export async function withHeldFence<T>(
  deps: ActivityDeps,
  ref: DatabaseRef,
  { fence, waitMs, evenReadOnly = false, action }: HoldOptions,
  body: (held: HeldFence) => Promise<T>,
): Promise<T> {
  const options = {
    lasting: true,
    identity: true,
    lockTimeoutMs: TRY_MS,
    idleInTransactionTimeoutMs: 0,
    evenReadOnly,
    action,
  };
  const phase = `waiting for the fence of ${fence.target}`;
  return withProgress({ phase, done: 0, total: 0, unit: 'statements' }, (report) =>
    withClient(
      deps,
      ref,
      async (client) => {
        await noticeLostHost(client);
        await takeInTime(client, fence, Date.now() + waitMs);
        return body({
          client,
          report,
          hold: (work) =>
            inTransaction(
              client,
              async () => {
                await keepFence(client, fence, applicationName());
                // Until another statement comes the last one with parameters keeps its snapshot, and CREATE INDEX CONCURRENTLY
                // would wait for it.
                await client.query('SELECT 1');
                return whileAlive(client, fence, work);
              },
              { commit: () => commit(client, action) },
            ),
        });
      },
      options,
    ),
  );
}

async function takeInTime(client: Client, fence: Fence, until: number): Promise<void> {
  for (;;) {
    try {
      return await fenceSession(client, fence);
    } catch (error) {
      const busy = error instanceof ApplicationFailure && error.type === 'FenceBusy';
      if (!busy || Date.now() >= until) throw error;
    }
  }
}

/** Within 25 s, not after hours. Not on every platform of a server. */
async function noticeLostHost(client: Client): Promise<void> {
  for (const [name, value] of [
    ['tcp_keepalives_idle', 10],
    ['tcp_keepalives_interval', 5],
    ['tcp_keepalives_count', 3],
  ])
    await client.query(`SET ${name} = ${value}`).catch(() => undefined);
}

async function whileAlive<T>(
  client: Client,
  { target }: Fence,
  work: (lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController();
  const lose = (): void =>
    lost.abort(
      fail(
        'DatabaseUnreachable',
        `The session that held the fence of ${target} was lost, so what ran under it was stopped. This is tried again.`,
        { retryable: true },
      ),
    );
  client.once('end', lose);
  const asking = setInterval(() => {
    const silent = setTimeout(lose, SILENT_MS);
    client.query('SELECT 1').then(
      () => clearTimeout(silent),
      () => clearTimeout(silent),
    );
  }, ASK_EVERY_MS);
  try {
    return await work(lost.signal);
  } finally {
    clearInterval(asking);
    client.removeListener('end', lose);
  }
}
