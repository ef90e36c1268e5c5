import type { Client, ClientBase } from 'pg';
import { serviceOf } from '../../../config/load';
import type { ServiceConfig } from '../../../config/schema';
import { endpointOf } from '../session/endpoint';
import { withClient, terminateEarlierAttempts } from '../session/connection';
import { ensureBookkeeping } from '../session/bookkeeping';
import { applicationName, currentActivity, type Progress } from '../../support/heartbeat';
import type { ActivityDeps } from '../../support/deps';
import type { MeasuredLock } from '../../../contract/locks';
import type { Session } from '../../../contract/database';
import type { LedgerEntry } from './ledger';
import type { Direction } from './ledger-state';
import { prepareOwner } from './owner-role';
import type { Script } from './parse';
import { scratchMark } from '../session/scratch-files';
import { quoted } from './parse-tree';
import { inTransaction } from '../session/transaction';
import type { DatabaseRef, Fence } from '../../../contract/place';
import type { MigrationRef } from '../../../contract/migration';

export interface ApplyInput {
  /** Only of older runs: see `serviceAt`. */
  service?: string;
  database: DatabaseRef;
  migration: MigrationRef;
  direction: Direction;
  fence: Fence;
  /** Rewriting a table was approved; also lifts the limit on the time that locks are held. */
  allowRewrite?: boolean;
}

/** What an apply measures while it runs. */
export interface ApplyStats {
  lockAttempts: number;
  longestBlockMs: number;
  totalBlockMs: number;
  /** Latest sight of each session that stood in the way, by process ID, or by name where it has none. */
  blockers: Map<number | string, Session>;
  /** Of the transactions that were committed. */
  locks: MeasuredLock[];
}

/** One apply of one script: its sessions, its patience, what it has seen. */
export interface ApplyRun {
  deps: ActivityDeps;
  input: ApplyInput;
  script: Script;
  settings: ServiceConfig['migrations'];
  /** For messages: which database. */
  label: string;
  /** Does the work. */
  client: Client;
  /** Sees what others see, and whom the first one waits for. */
  watcher: Client;
  /** The server cancels an autovacuum that is in our way before `lock_timeout` ends. */
  evictsAutovacuum: boolean;
  entry: Omit<LedgerEntry, 'statement'>;
  /** How long the lock that is wanted now is waited for. */
  deadline: number;
  /** The fence was taken, and that is committed: from then on it is kept, not taken anew. */
  fenced: boolean;
  stats: ApplyStats;
  /** Statements of this script that are committed already and stay, whatever comes next. */
  committed: number;
  report(changed: Partial<Progress>): void;
}

/** A fence is held for one transaction: whoever holds it is about to end, or stuck. */
export const FENCE_TIMEOUT_MS = 5_000;
/** A worker that stops in the middle of a transaction must not leave its locks behind. */
const IDLE_TIMEOUT_MS = 30_000;

export type OpenRun = Pick<ApplyRun, 'deps' | 'input' | 'script' | 'settings' | 'report' | 'fenced'>;

/** Opens the sessions of an apply, with identity and role checked, and leaves nothing of an earlier attempt running. */
export async function withApplyRun<T>(given: OpenRun, body: (run: ApplyRun) => Promise<T>): Promise<T> {
  const { deps, input, settings } = given;
  const options = { identity: true, action: `apply ${given.script.file}`, lockTimeoutMs: FENCE_TIMEOUT_MS };
  const statementTimeoutMs = settings.statementTimeoutSeconds * 1_000;
  return withClient(
    deps,
    input.database,
    (watcher) =>
      withClient(
        deps,
        input.database,
        async (client) => {
          // Our looks at the catalogue seem expensive to the planner: compiling them takes a hundred times as long as they do.
          await Promise.all([client, watcher].map((session) => session.query('SET jit = off')));
          await terminateEarlierAttempts(client);
          await ensureBookkeeping(client);
          const evictsAutovacuum = await quickDeadlockCheck(client, settings.lockTimeoutMs);
          await becomeProductionRole(deps, client, input);
          return body({ ...given, client, watcher, evictsAutovacuum, ...fresh(given) });
        },
        { ...options, statementTimeoutMs, idleInTransactionTimeoutMs: IDLE_TIMEOUT_MS },
      ),
    options,
  );
}

function fresh({ deps, input, settings }: OpenRun) {
  const { migration, direction, fence } = input;
  return {
    label: endpointOf(deps, input.database).label,
    entry: {
      migration: migration.name,
      direction,
      sha256: direction === 'up' ? migration.sha256 : (migration.downSha256 ?? ''),
      holder: applicationName(),
      token: fence.token,
    },
    deadline: newDeadline(settings),
    stats: {
      lockAttempts: 0,
      longestBlockMs: 0,
      totalBlockMs: 0,
      blockers: new Map<number | string, Session>(),
      locks: [],
    },
    committed: 0,
  };
}

/**
 * Autovacuum gives way only when the waiting session runs its deadlock check, by default after 1 s: more than a usual
 * `lock_timeout`. Needs superuser, or GRANT SET ON PARAMETER deadlock_timeout.
 */
async function quickDeadlockCheck(client: ClientBase, lockTimeoutMs: number): Promise<boolean> {
  const afterMs = Math.min(100, Math.max(1, Math.floor(lockTimeoutMs / 2)));
  return client.query(`SET deadlock_timeout = '${afterMs}ms'`).then(
    () => true,
    () => false,
  );
}

/** Ours to set, not the role's. */
const OUR_SETTINGS = [
  'lock_timeout',
  'statement_timeout',
  'role',
  'session_authorization',
  'idle_in_transaction_session_timeout',
  // Without it nobody would see what a migration writes.
  'track_counts',
];

/**
 * A disposable cluster is entered as its superuser; what production's role may not do must fail there already, and what a
 * file means depends on the settings that production has for that role and for the database: the path of names, above all.
 */
async function becomeProductionRole(
  deps: ActivityDeps,
  client: ClientBase,
  { database }: ApplyInput,
): Promise<void> {
  if (database.kind !== 'scratch') return;
  const { service, environment } = scratchMark(deps.config, database.scratch);
  const production: DatabaseRef = { kind: 'service', service, environment };
  const { url } = endpointOf(deps, production);
  const role = decodeURIComponent(new URL(url).username);
  const settings = (await rememberedSettings(client)) ?? (await rememberSettings(deps, client, production));
  await prepareOwner(client, serviceOf(deps.config, service).migrations.role, role);
  const { rows } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
  if (rows.length > 0) {
    await client.query(`GRANT USAGE ON SCHEMA durable_runbooks TO ${quoted(role)}`);
    await client.query(`GRANT ALL ON ALL TABLES IN SCHEMA durable_runbooks TO ${quoted(role)}`);
    await client.query(`SET SESSION AUTHORIZATION ${quoted(role)}`);
  }
  for (const { name, setting } of settings)
    await client.query('SELECT set_config($1, $2, false)', [name, setting]).catch(() => undefined);
}

interface Setting {
  name: string;
  setting: string;
}

// In the copy itself, so that production is asked once, and each apply of a rehearsal has the same.
const SETTINGS = 'durable_runbooks.production_setting';

async function rememberedSettings(client: ClientBase): Promise<Setting[] | undefined> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('${SETTINGS}') IS NOT NULL AS there`,
  );
  if (rows[0]?.there !== true) return undefined;
  return (await client.query<Setting>(`SELECT name, setting FROM ${SETTINGS}`)).rows;
}

/** What sessions of ours are given there for their database and their role. */
async function rememberSettings(
  deps: ActivityDeps,
  client: ClientBase,
  production: DatabaseRef,
): Promise<Setting[]> {
  const settings = await readSettings(deps, production);
  await inTransaction(client, async () => {
    await client.query(`CREATE TABLE ${SETTINGS} (name text PRIMARY KEY, setting text NOT NULL)`);
    await client.query(`INSERT INTO ${SETTINGS} SELECT * FROM unnest($1::text[], $2::text[])`, [
      settings.map(({ name }) => name),
      settings.map(({ setting }) => setting),
    ]);
  });
  return settings;
}

async function readSettings(deps: ActivityDeps, production: DatabaseRef): Promise<Setting[]> {
  return withClient(
    deps,
    production,
    async (client) => {
      const { rows } = await client.query<Setting>(
        // A restore may have closed it to writers for a moment, and the copy takes writes whatever it says.
        `SELECT name, setting FROM pg_settings WHERE source IN ('database', 'user', 'database user') AND name <> ALL ($1)
            AND NOT (name = 'default_transaction_read_only' AND source = 'database')`,
        [OUR_SETTINGS],
      );
      return rows;
    },
    { identity: true, action: 'read the settings of its role' },
  );
}

/** Each lock gets the whole patience: what came before it may have taken hours. */
export function newDeadline({ lockDeadlineSeconds }: ApplyRun['settings']): number {
  return Date.now() + lockDeadlineSeconds * 1_000;
}

/** Waits, and ends at once with the activity's CancelledFailure when that is asked for. */
export async function pause(ms: number): Promise<void> {
  const { signal } = currentActivity();
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
