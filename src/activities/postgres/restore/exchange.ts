import { escapeIdentifier, type Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { highestFenceToken } from '../session/bookkeeping';
import { terminateEarlierAttempts, withClient } from '../session/connection';
import { fail, sqlStateOf } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import type { DatabaseMark } from '../session/identity';
import { commentDatabase, findDatabase, lockTarget, type DatabaseOnServer } from './database-marks';
import { databaseIn, type Fence, type Place } from '../../../contract/place';
import type { SwapResult } from '../../../contract/backup';
import { fenceMaintenance, fenceSession, readFence } from '../session/fence';
import { commit, inTransaction } from '../session/transaction';
import { endSessions, type Stayed } from './end-sessions';
import { inMaintenance } from './maintenance';

export interface SwapInput extends Place {
  /** Name of the restored copy beside the live database. */
  restored: string;
  /** Name under which the former live database is kept. */
  previous: string;
  /** The plan said that there is no live database: nothing is kept under `previous`. */
  liveMissing?: boolean;
  fence: Fence;
}

interface Exchange {
  live: string;
  /** Becomes the live one; undefined where there was none before, and so none is after. */
  incoming: string | undefined;
  /** New name of the one that is live now; undefined where there is none. */
  outgoing: string | undefined;
  /** What the outgoing one is marked as. */
  kind: DatabaseMark['kind'];
}

/** The copy takes the place of the live database. */
export function forward(live: string, { restored, previous, liveMissing }: SwapInput): Exchange {
  return {
    live,
    incoming: restored,
    outgoing: liveMissing === true ? undefined : previous,
    kind: 'previous',
  };
}

/** The former database comes back, or the place is empty again. */
export function backward(live: string, { restored, previous, liveMissing }: SwapInput): Exchange {
  return {
    live,
    incoming: liveMissing === true ? undefined : previous,
    outgoing: restored,
    kind: 'restored',
  };
}

/** Puts databases into each other's place by renaming them; see `swapDatabases`. */
export async function exchange(deps: ActivityDeps, input: SwapInput, names: Exchange): Promise<SwapResult> {
  const startedAt = Date.now();
  const what = names.incoming ?? 'nothing';
  const options = {
    action: `put ${what} in the place of ${names.live}`,
    lockTimeoutMs: 10_000,
    statementTimeoutMs: 60_000,
  };
  await withProgress({ phase: 'swap', done: 0, total: 1, unit: 'statements' }, () =>
    inMaintenance(
      deps,
      input,
      async (client) => {
        await terminateEarlierAttempts(client);
        // Advisory locks are per database: whoever creates, drops or renames databases takes it here.
        await lockTarget(client, input.fence.target);
        await fenceMaintenance(client, input.fence);
        const found = await look(deps, input, client, names);
        if (found === 'done') return;
        if (names.incoming !== undefined) await fenceIncoming(deps, input, names.incoming);
        await swap(deps, input, client, names, found);
      },
      options,
    ),
  );
  return { live: names.live, previous: names.outgoing ?? null, durationMs: Date.now() - startedAt };
}

interface Pair {
  live: DatabaseOnServer | undefined;
  incoming: (DatabaseOnServer & { mark: DatabaseMark }) | undefined;
}

/** Names and marks say how far it came. Throws TargetNotOurs for a state that no swap of ours leaves. */
async function look(
  deps: ActivityDeps,
  input: SwapInput,
  client: Client,
  names: Exchange,
): Promise<Pair | 'done'> {
  const find = async (name: string | undefined) =>
    name === undefined ? undefined : findDatabase(client, name);
  const [live, incoming, outgoing] = [
    await find(names.live),
    await find(names.incoming),
    await find(names.outgoing),
  ];
  const wrong = (why: string): Error =>
    fail(
      'TargetNotOurs',
      `${names.incoming ?? 'Nothing'} cannot take the place of ${names.live}: ${why}. Nothing was changed.`,
    );
  if (await isDone(deps, input, names, { live, incoming, outgoing })) return 'done';
  if (names.outgoing !== undefined && live === undefined)
    throw wrong(`there is no database "${names.live}" (any more)`);
  if (names.outgoing === undefined && live !== undefined)
    throw wrong(`there is a database "${names.live}" (again)`);
  if (live !== undefined && live.mark !== null)
    throw wrong(`"${names.live}" carries the mark of a ${live.mark.kind} copy`);
  if (outgoing !== undefined) throw wrong(`the name "${names.outgoing}" is taken`);
  if (names.incoming === undefined) return { live, incoming: undefined };
  if (incoming === undefined) throw wrong(`there is no database "${names.incoming}"`);
  // A drilled copy lives in a cluster without durability and is never promoted.
  if (incoming.mark === null || incoming.mark.kind === 'drill')
    throw wrong(`"${names.incoming}" carries no mark of a copy that may take over`);
  return { live, incoming: { ...incoming, mark: incoming.mark } };
}

async function isDone(
  deps: ActivityDeps,
  input: SwapInput,
  names: Exchange,
  found: Record<'live' | 'incoming' | 'outgoing', DatabaseOnServer | undefined>,
): Promise<boolean> {
  const { live, incoming, outgoing } = found;
  if (names.incoming === undefined) return live === undefined && outgoing?.mark?.kind === names.kind;
  if (live === undefined || live.mark !== null || incoming !== undefined) return false;
  if (names.outgoing !== undefined) return outgoing?.mark?.kind === names.kind;
  // Nothing was kept that could tell: the copy is the one that carries the token of this lease.
  const { target, token } = input.fence;
  return withClient(
    deps,
    databaseIn(input),
    async (client) => (await highestFenceToken(client)) > 0 && (await readFence(client, target)) === token,
    { identity: true, action: 'see which database is live' },
  );
}

/** The token stands in the copy before it can become live, whatever it was restored with. */
async function fenceIncoming(deps: ActivityDeps, input: SwapInput, name: string): Promise<void> {
  await withClient(deps, databaseIn(input, name), (copy) => fenceSession(copy, input.fence), {
    identity: true,
    // Going back it is the former database, which the run may have made read-only itself.
    evenReadOnly: true,
    action: 'fence the copy',
  });
}

/** The server looks for five seconds whether everybody has left, each time. */
const TRIES = 3;
const OBJECT_IN_USE = '55006';

/**
 * One transaction, so that it stops nowhere half-way: the first RENAME locks the database against whoever wants to come in,
 * while those inside are ended from a second session; whoever waits outside finds the copy behind the same name. A worker
 * that dies at any moment leaves everything as it was, and open.
 */
async function swap(
  deps: ActivityDeps,
  input: SwapInput,
  client: Client,
  names: Exchange,
  pair: Pair,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const concerned = [pair.live?.name, pair.incoming?.name].filter((name) => name !== undefined);
    const ending = endSessions(deps, input, concerned);
    try {
      return await inTransaction(client, () => rename(client, input, names, pair), {
        commit: () => commit(client, `put ${names.incoming ?? 'nothing'} in the place of ${names.live}`),
      });
    } catch (error) {
      if (sqlStateOf(error) !== OBJECT_IN_USE) throw error;
      const stayed = await ending.stop();
      if (tries >= TRIES || /prepared transaction/.test((error as { detail?: string }).detail ?? ''))
        throw sessionsStay(concerned, stayed, error as Error);
    } finally {
      await ending.stop();
    }
  }
}

async function rename(
  client: Client,
  { service, environment }: Place,
  names: Exchange,
  { live, incoming }: Pair,
): Promise<void> {
  if (live !== undefined && names.outgoing !== undefined)
    await client.query(
      `ALTER DATABASE ${escapeIdentifier(names.live)} RENAME TO ${escapeIdentifier(names.outgoing)}`,
    );
  if (incoming !== undefined) {
    await client.query(
      `ALTER DATABASE ${escapeIdentifier(incoming.name)} RENAME TO ${escapeIdentifier(names.live)}`,
    );
    await commentDatabase(client, names.live, incoming.mark.comment);
  }
  if (live === undefined || names.outgoing === undefined) return;
  await commentDatabase(client, names.outgoing, {
    by: 'durable-runbooks',
    kind: names.kind,
    service,
    environment,
    backupId: incoming?.mark.backupId ?? null,
    createdAt: new Date().toISOString(),
    comment: live.comment,
  });
}

function sessionsStay(names: string[], { sessions, refused }: Stayed, error: Error): Error {
  const who = [...sessions, ...refused].join(', ');
  const why = (error as { detail?: string }).detail ?? error.message;
  return fail(
    'CommandFailed',
    `Sessions stay in ${names.join(' and ')}: ${who === '' ? why : `${who} (${why})`}. End them by hand. Everything is as it was.`,
    { retryable: true },
  );
}
