import { escapeIdentifier, type Client } from 'pg';
import { databaseOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { terminateEarlierAttempts, withClient, type ConnectionOptions } from '../session/connection';
import { fail } from '../../support/failure';
import { withProgress } from '../../support/heartbeat';
import type { DatabaseMark } from '../session/identity';
import {
  commentDatabase,
  findDatabase,
  lockTarget,
  maintenanceDatabase,
  type DatabaseOnServer,
} from './database-marks';
import type { DatabaseRef, Fence, Place } from '../../../contract/place';
import type { SwapResult } from '../../../contract/backup';
import { fenceSession } from '../session/fence';
import { inTransaction } from '../session/transaction';

export interface SwapInput {
  service: string;
  environment: string;
  /** Name of the restored copy beside the live database. */
  restored: string;
  /** Name under which the former live database is kept. */
  previous: string;
  fence: Fence;
}

interface Exchange {
  live: string;
  /** Becomes the live one. */
  incoming: string;
  /** New name of the one that is live now. */
  outgoing: string;
  /** What the outgoing one is marked as. */
  kind: DatabaseMark['kind'];
}

/** Name of the live database of an environment. */
export function liveName(deps: ActivityDeps, { service, environment }: Place): string {
  return databaseOf(deps.config, service, environment).identity.database;
}

/** A session on the server of an environment, in a database that is not concerned. */
export function inMaintenance<T>(
  deps: ActivityDeps,
  place: Place,
  body: (client: Client) => Promise<T>,
  options: ConnectionOptions = {},
): Promise<T> {
  const ref: DatabaseRef = { kind: 'service', service: place.service, environment: place.environment };
  return withClient(deps, ref, body, {
    identity: true,
    database: maintenanceDatabase(liveName(deps, place)),
    action: 'look at the databases',
    ...options,
  });
}

/** Renames two databases into each other's place; see `swapDatabases`. */
export async function exchange(deps: ActivityDeps, input: SwapInput, names: Exchange): Promise<SwapResult> {
  const startedAt = Date.now();
  const action = `put ${names.incoming} in the place of ${names.live}`;
  await withProgress({ phase: 'swap', done: 0, total: 1, unit: 'statements' }, () =>
    inMaintenance(
      deps,
      input,
      async (client) => {
        await terminateEarlierAttempts(client);
        // Advisory locks are per database: whoever creates, drops or renames databases takes it here.
        await lockTarget(client, input.fence.target);
        await fenceSession(client, input.fence);
        const found = await look(client, names);
        if (found === 'done') return reopen(client, [names.live, names.outgoing]);
        await fenceIncoming(deps, input, names);
        await swap(deps, input, client, names, found);
      },
      { action, lockTimeoutMs: 10_000, statementTimeoutMs: 60_000 },
    ),
  );
  return { live: names.live, previous: names.outgoing, durationMs: Date.now() - startedAt };
}

interface Pair {
  live: DatabaseOnServer;
  incoming: DatabaseOnServer & { mark: DatabaseMark };
}

/** Names and marks say how far it came. Throws TargetNotOurs for a state that no swap of ours leaves. */
async function look(client: Client, names: Exchange): Promise<Pair | 'done'> {
  const live = await findDatabase(client, names.live);
  const incoming = await findDatabase(client, names.incoming);
  const outgoing = await findDatabase(client, names.outgoing);
  if (
    live !== undefined &&
    live.mark === null &&
    incoming === undefined &&
    outgoing?.mark?.kind === names.kind
  )
    return 'done';
  const wrong = (why: string): Error =>
    fail(
      'TargetNotOurs',
      `${names.incoming} cannot take the place of ${names.live}: ${why}. Nothing was changed.`,
    );
  if (live === undefined) throw wrong(`there is no database "${names.live}"`);
  if (live.mark !== null) throw wrong(`"${names.live}" carries the mark of a ${live.mark.kind} copy`);
  if (incoming === undefined) throw wrong(`there is no database "${names.incoming}"`);
  // A drilled copy lives in a cluster without durability and is never promoted.
  if (incoming.mark === null || incoming.mark.kind === 'drill')
    throw wrong(`"${names.incoming}" carries no mark of a copy that may take over`);
  if (outgoing !== undefined) throw wrong(`the name "${names.outgoing}" is taken`);
  return { live, incoming: { ...incoming, mark: incoming.mark } };
}

/** The token stands in the copy before it can become live, whatever it was restored with. */
async function fenceIncoming(deps: ActivityDeps, input: SwapInput, names: Exchange): Promise<void> {
  const ref: DatabaseRef = {
    kind: 'service',
    service: input.service,
    environment: input.environment,
    database: names.incoming,
  };
  // An earlier attempt may have closed it.
  await inMaintenance(deps, input, (client) => reopen(client, [names.incoming]));
  await withClient(deps, ref, (copy) => fenceSession(copy, input.fence), {
    identity: true,
    action: 'fence the copy',
  });
}

async function swap(
  deps: ActivityDeps,
  input: SwapInput,
  client: Client,
  names: Exchange,
  pair: Pair,
): Promise<void> {
  try {
    // RENAME fails while anybody is connected, and applications reconnect at once: close the door first.
    for (const name of [names.live, names.incoming]) await allowConnections(client, name, false);
    await endSessions(client, [names.live, names.incoming]);
    await inTransaction(client, async () => {
      await client.query(
        `ALTER DATABASE ${escapeIdentifier(names.live)} RENAME TO ${escapeIdentifier(names.outgoing)}`,
      );
      await client.query(
        `ALTER DATABASE ${escapeIdentifier(names.incoming)} RENAME TO ${escapeIdentifier(names.live)}`,
      );
      await commentDatabase(client, names.live, pair.incoming.mark.comment);
      await commentDatabase(client, names.outgoing, {
        ...pair.incoming.mark,
        kind: names.kind,
        createdAt: new Date().toISOString(),
        comment: pair.live.comment,
      });
      await allowConnections(client, names.live, true);
      await allowConnections(client, names.outgoing, true);
    });
  } catch (error) {
    // Failed or cancelled: the door must not stay closed. Whichever names they have now.
    await inMaintenance(
      deps,
      input,
      (second) => reopen(second, [names.live, names.incoming, names.outgoing]),
      { ignoreCancellation: true },
    );
    throw error;
  }
}

async function allowConnections(client: Client, name: string, allowed: boolean): Promise<void> {
  await client.query(`ALTER DATABASE ${escapeIdentifier(name)} ALLOW_CONNECTIONS ${String(allowed)}`);
}

async function reopen(client: Client, names: string[]): Promise<void> {
  for (const name of names) {
    if ((await findDatabase(client, name))?.allowsConnections === false)
      await allowConnections(client, name, true);
  }
}

async function endSessions(client: Client, names: string[]): Promise<void> {
  for (let waitedMs = 0; waitedMs < 15_000; waitedMs += 100) {
    const { rows } = await client.query<{ pid: number; who: string }>(
      `SELECT pid, coalesce(nullif(application_name, ''), backend_type) || ' of ' || coalesce(usename, 'the server') AS who, pg_terminate_backend(pid)
         FROM pg_stat_activity
        WHERE datname = ANY($1) AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
      [names],
    );
    if (rows.length === 0) return;
    if (waitedMs >= 14_000) {
      throw fail(
        'CommandFailed',
        `Sessions stay in ${names.join(' and ')}: ${rows.map(({ pid, who }) => `${pid} (${who})`).join(', ')}. End them by hand.`,
        {
          retryable: true,
        },
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
