import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { ActivityDeps } from '../../support/deps';
import { asRole, endpointOf, onDatabase, type Endpoint } from './endpoint';
import { fail, mapError, type FailureType } from '../../support/failure';
import { applicationName, currentActivity, lastingName } from '../../support/heartbeat';
import { checkIdentity } from './identity';
import { outlastsLoss } from './lasting';
import { endNamedSessions, stillOpen } from './own-sessions';
import { refusePooler } from './pooler';
import { commit, inTransaction } from './transaction';
import type { DatabaseRef } from '../../../contract/place';

export interface ConnectionOptions {
  /**
   * Check in this very session that it is the registered database, reached without a transaction-mode pooler.
   * Throws WrongDatabase, TargetNotOurs, PoolerRefused.
   */
  identity?: boolean;
  /** `row_security = off`: a role that cannot see all rows fails instead of counting fewer. */
  allRows?: boolean;
  /** Every transaction read only. */
  readOnly?: boolean;
  /** May write although the database was made read-only: for the run that did so. */
  evenReadOnly?: boolean;
  /** 0 = none. Default 60 s. */
  statementTimeoutMs?: number;
  /** Gives up a statement that has no answer by then: a server whose storage hangs keeps no timeout of its own. Default: never. */
  answerTimeoutMs?: number;
  /** 0 = none. Default 5 s. */
  lockTimeoutMs?: number;
  /** How long this session may sit in a transaction; 0 = for ever. Default: the server's. */
  idleInTransactionTimeoutMs?: number;
  /** Go on after cancellation: for cleaning up. */
  ignoreCancellation?: boolean;
  /** Later attempts wait for this session instead of ending it. */
  lasting?: boolean;
  /** Connect to this database of the same server instead, e.g. a maintenance database. */
  database?: string;
  /** Log in as this role instead, which has the same password. */
  role?: string;
  /** For messages: what is being done, e.g. `count the rows`. */
  action?: string;
  /** Failure type of errors that have no better one. Default CommandFailed. */
  type?: FailureType;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens a session, runs `body` and closes it. Every error comes out mapped (see `mapError`), with the action and the
 * target in it. On cancellation of the activity the running statement is cancelled on the server, further ones are
 * refused, and the activity's CancelledFailure is thrown.
 */
export async function withClient<T>(
  deps: ActivityDeps,
  ref: DatabaseRef,
  body: (client: Client) => Promise<T>,
  options: ConnectionOptions = {},
): Promise<T> {
  const { signal } = currentActivity();
  if (options.ignoreCancellation !== true) signal.throwIfAborted();
  let target = ref.kind === 'service' ? `${ref.service}/${ref.environment}` : ref.scratch;
  let client: Client | undefined;
  let stopWatching = (): void => undefined;
  try {
    const found = endpointOf(deps, ref);
    const there = options.database === undefined ? found : onDatabase(found, options.database);
    const endpoint = options.role === undefined ? there : asRole(there, options.role);
    target = endpoint.label;
    client = await openClient(endpoint, options);
    if (options.ignoreCancellation !== true) stopWatching = cancelOnAbort(client, endpoint, signal);
    if (options.identity === true) {
      await checkIdentity(client, endpoint, actualRef(ref, options.database));
      await refusePooler(client, () => openClient(endpoint), endpoint.label);
    }
    return await body(client);
  } catch (error) {
    // What came of the cancellation is the cancellation, whatever the driver called it.
    if (signal.aborted && options.ignoreCancellation !== true) throw signal.reason;
    throw mapError(error, { action: options.action ?? 'work', target, type: options.type });
  } finally {
    stopWatching();
    await client?.end().catch(() => undefined);
  }
}

/** On another database than the named one (a maintenance database) only the server has to be the registered one. */
function actualRef(ref: DatabaseRef, database: string | undefined): DatabaseRef {
  return ref.kind === 'service' && database !== undefined ? { ...ref, database: undefined } : ref;
}

/**
 * As `withClient`, in one transaction: COMMIT when `body` returns, ROLLBACK when it throws. A failure of the COMMIT
 * itself has `{ outcomeUnknown: true }` in its details: read the state again, never assume.
 */
export async function withTransaction<T>(
  deps: ActivityDeps,
  ref: DatabaseRef,
  body: (client: Client) => Promise<T>,
  options: ConnectionOptions & { isolation?: 'REPEATABLE READ' | 'SERIALIZABLE' } = {},
): Promise<T> {
  return withClient(
    deps,
    ref,
    (client) =>
      inTransaction(client, () => body(client), {
        begin: `BEGIN ${options.isolation === undefined ? '' : `ISOLATION LEVEL ${options.isolation}`}`,
        commit: () => commit(client, options.action ?? 'commit'),
      }),
    options,
  );
}

const STARTING = '57P03';
const STARTING_MS = 10_000;
const ASK_AGAIN_MS = 200;

/**
 * Opens a session with our settings. The caller ends it. A server that says that it is starting is there in a moment: to
 * wait for it here takes no attempt, and is over sooner than the pause before the next one.
 */
export async function openClient(endpoint: Endpoint, options: ConnectionOptions = {}): Promise<Client> {
  for (const deadline = Date.now() + STARTING_MS; ;) {
    try {
      return await connectOnce(endpoint.url, options);
    } catch (error) {
      const isStarting = (error as { code?: unknown }).code === STARTING;
      if (!isStarting || Date.now() > deadline || currentActivity().signal.aborted)
        throw mapError(error, { action: 'connect', target: endpoint.label });
      await sleep(ASK_AGAIN_MS);
    }
  }
}

/** The same, once, and with the error as the driver has it: for who wants to know why. Never let it out. */
export async function connectOnce(url: string, options: ConnectionOptions = {}): Promise<Client> {
  const client = new Client({
    connectionString: driverUrl(url),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    ...(options.answerTimeoutMs === undefined ? {} : { query_timeout: options.answerTimeoutMs }),
    application_name: nameFor(options),
    keepAlive: true,
  });
  // Without a listener a connection that drops between two queries would end the worker.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await configure(client, options);
    return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    throw error;
  }
}

function nameFor({ lasting }: ConnectionOptions): string {
  return lasting === true ? lastingName() : applicationName();
}

/** Asked of the server: behind a pooler the process ID that the driver was told is made up. */
const backends = new WeakMap<Client, number>();

async function configure(client: Client, options: ConnectionOptions): Promise<void> {
  const settings: Record<string, string> = {
    application_name: nameFor(options),
    statement_timeout: String(options.statementTimeoutMs ?? 60_000),
    lock_timeout: String(options.lockTimeoutMs ?? 5_000),
    client_encoding: 'UTF8',
    // The only style that the driver reads. In which order a date is understood stays as it is.
    datestyle: 'ISO',
  };
  if (options.allRows === true) settings['row_security'] = 'off';
  if (options.readOnly === true) settings['default_transaction_read_only'] = 'on';
  else if (options.evenReadOnly === true) settings['default_transaction_read_only'] = 'off';
  if (options.idleInTransactionTimeoutMs !== undefined) {
    settings['idle_in_transaction_session_timeout'] = String(options.idleInTransactionTimeoutMs);
  }
  const { rows } = await client.query<{ pid: number }>(
    `SELECT set_config(name, value, false), pg_backend_pid() AS pid FROM unnest($1::text[], $2::text[]) AS s(name, value)`,
    [Object.keys(settings), Object.values(settings)],
  );
  backends.set(client, rows[0]!.pid);
  // A server whose client was killed notices within two seconds and stops. Not on every platform.
  await client.query(`SET client_connection_check_interval = '2s'`).catch(() => undefined);
}

/** The driver reads `sslmode=require` as verify-full; libpq, and so every tool we start, does not. */
function driverUrl(text: string): string {
  const url = new URL(text);
  const mode = url.searchParams.get('sslmode');
  if (mode === 'prefer' || mode === 'allow') url.searchParams.delete('sslmode');
  else if (mode !== null && !url.searchParams.has('uselibpqcompat'))
    url.searchParams.set('uselibpqcompat', 'true');
  return url.href;
}

/** pg knows no AbortSignal: the statement is cancelled from a second session, and no further one is sent. */
function cancelOnAbort(client: Client, endpoint: Endpoint, signal: AbortSignal): () => void {
  const send = client.query.bind(client) as (...args: unknown[]) => unknown;
  const guarded = (...args: unknown[]): unknown => {
    const text = typeof args[0] === 'string' ? args[0] : '';
    if (signal.aborted && !/^\s*ROLLBACK/i.test(text)) return Promise.reject(signal.reason as Error);
    return send(...args);
  };
  client.query = guarded as typeof client.query;
  const cancel = (): void => {
    if (outlastsLoss(client, signal)) return destroyConnection(client);
    void cancelBackend(endpoint, processIdOf(client)).catch(() => {
      // Nobody can reach the server: breaking the connection makes it notice by itself.
      destroyConnection(client);
    });
  };
  signal.addEventListener('abort', cancel, { once: true });
  if (signal.aborted) cancel();
  return () => signal.removeEventListener('abort', cancel);
}

/** Cancels the running statement of a backend from a session of its own. */
export async function cancelBackend(endpoint: Endpoint, pid: number): Promise<void> {
  const second = await openClient(endpoint);
  try {
    await second.query('SELECT pg_cancel_backend($1)', [pid]);
  } finally {
    await second.end().catch(() => undefined);
  }
}

/** The backend's process ID, as in pg_stat_activity. */
export function processIdOf(client: Client): number {
  const pid = backends.get(client);
  if (pid === undefined) throw new Error('this session was not opened here');
  return pid;
}

function destroyConnection(client: Client): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}

/**
 * Ends the sessions of earlier attempts of this very activity, on the whole server, and waits until they are gone:
 * a worker that was killed may have left statements or client tools that are still working. Returns how many.
 */
export async function terminateEarlierAttempts(client: Client): Promise<number> {
  const { attempt } = currentActivity();
  const names = Array.from({ length: attempt - 1 }, (_, index) => applicationName(index + 1));
  if (names.length === 0) return 0;
  const told = await endNamedSessions(client, names);
  let left = told;
  for (let waitedMs = 0; left.length > 0; waitedMs += 50) {
    if (waitedMs >= 10_000)
      throw fail('DatabaseUnreachable', 'Sessions of an earlier attempt do not end.', { retryable: true });
    left = await stillOpen(client, left);
    if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return told.length;
}
