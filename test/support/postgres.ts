/** One real PostgreSQL per test file, a fresh database per test, and a configuration around it. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { Client, type QueryResult } from 'pg';
import type { ActivityDeps } from '../../src/activities/support/deps';
import type { Project } from '../../src/catalogue/catalogue';
import { ownCatalogue } from '../../src/packs/own';
import { configSchema, serviceSchema } from '../../src/config/schema';
import { startPostgres, type LocalPostgres } from '../../src/host/postgres';
import type { DatabaseRef } from '../../src/contract/place';
import { askFor } from './shared/ask';
import { copyCluster } from './shared/cluster';

export interface TestPostgres {
  server: LocalPostgres;
  /** Reachable by the user that runs PostgreSQL. Removed at the end. */
  directory: string;
  /** URL of a database of this server, as superuser or as another role. */
  urlOf(database: string, role?: { user: string; password: string }): string;
  /** Copies the template into a database of its own, with a configuration whose service is called `shop`. */
  fresh(options?: FreshOptions): Promise<TestDatabase>;
  stop(): Promise<void>;
}

export interface FreshOptions {
  /** Merged over the service's configuration, e.g. `{ invariants: [...] }`. */
  service?: Record<string, unknown>;
  /** Merged over the top of the configuration, e.g. `{ postgresBin: '...' }`. */
  config?: Record<string, unknown>;
  /** Connect as this role instead of as the superuser. */
  role?: { user: string; password: string };
  /** Register another identity than the true one. */
  identity?: { systemIdentifier?: string; database?: string };
  /** Put another URL into the configuration. */
  url?: string;
  /** Setup beside the template's. */
  sql?: string;
}

export interface TestDatabase {
  name: string;
  url: string;
  deps: ActivityDeps;
  /** Folder of the configuration; backups lie in `backups` below it. */
  directory: string;
  ref: DatabaseRef;
  place: { service: 'shop'; environment: 'production' };
  /** Runs SQL as the superuser and returns the rows. */
  query<Row extends object = Record<string, unknown>>(sql: string, values?: unknown[]): Promise<Row[]>;
}

export interface TestPostgresOptions {
  /** Schema and data of the template. */
  template?: string;
  settings?: Record<string, string>;
  /** Programs of another version than the one that is found first. */
  binDirectory?: string;
  /** Default false: tests of safety need no safety of their own data. */
  durable?: boolean;
}

/** Call it in beforeAll and `stop` in afterAll. */
export async function startTestPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const directory = mkdtempSync(join(tmpdir(), 'dr-test-'));
  chmodSync(directory, 0o755);
  const quick: Record<string, string> = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
  const cluster = join(directory, 'cluster');
  const { binDirectory } = options;
  if (binDirectory === undefined) copyCluster(await askFor('cluster'), cluster);
  const server = await startPostgres({
    directory: cluster,
    ...(binDirectory === undefined ? {} : { binDirectory }),
    settings: { ...(options.durable === true ? {} : quick), ...options.settings },
  });
  const urlOf: TestPostgres['urlOf'] = (database, role) => {
    const url = new URL(server.url);
    url.pathname = `/${database}`;
    if (role !== undefined) [url.username, url.password] = [role.user, role.password];
    return url.href;
  };
  await runSql(urlOf('postgres'), 'CREATE DATABASE test_template');
  if (options.template !== undefined) await runSql(urlOf('test_template'), options.template);
  let count = 0;
  return {
    server,
    directory,
    urlOf,
    fresh: async (fresh = {}) => {
      const name = `shop_${(count += 1)}`;
      await runSql(urlOf('postgres'), `CREATE DATABASE ${name} TEMPLATE test_template STRATEGY = FILE_COPY`);
      if (fresh.sql !== undefined) await runSql(urlOf(name), fresh.sql);
      const folder = join(directory, name);
      mkdirSync(folder, { mode: 0o755 });
      const url = fresh.url ?? urlOf(name, fresh.role);
      return {
        name,
        url,
        directory: folder,
        deps: {
          config: configFor(
            folder,
            url,
            { systemIdentifier: server.systemIdentifier, database: name },
            fresh,
          ),
        },
        ref: { kind: 'service', service: 'shop', environment: 'production' },
        place: { service: 'shop', environment: 'production' },
        query: (sql, values) => runSql(urlOf(name), sql, values),
      };
    },
    stop: async () => {
      await server.stop();
      rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

function configFor(
  directory: string,
  url: string,
  identity: { systemIdentifier: string; database: string },
  options: FreshOptions,
): Project {
  writeFileSync(join(directory, 'url'), url, { mode: 0o600 });
  const service = {
    environments: {
      production: { database: { url: '${file:url}', identity: { ...identity, ...options.identity } } },
    },
    backups: { directory: 'backups' },
    restore: { scratchDirectory: 'scratch' },
    ...options.service,
  };
  const config = configSchema.parse({ services: { shop: serviceSchema.parse(service) }, ...options.config });
  return { ...config, catalogue: ownCatalogue, file: join(directory, 'runbooks.yaml'), directory };
}

/** One statement, or several without values, on a connection of its own. */
export async function runSql<Row extends object = Record<string, unknown>>(
  url: string,
  sql: string,
  values?: unknown[],
): Promise<Row[]> {
  const client = new Client({ connectionString: url, application_name: 'test' });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const result = (await client.query(sql, values)) as QueryResult<Row> | QueryResult<Row>[];
    // Several statements give several results; the last one is asked for.
    return Array.isArray(result) ? (result.at(-1)?.rows ?? []) : result.rows;
  } finally {
    await client.end();
  }
}

export interface ActivityRun<T> {
  result: Promise<T>;
  /** Details of every heartbeat so far. */
  beats: unknown[];
  /** Default: because somebody asked for it. */
  cancel(reason?: 'CANCELLED' | 'NOT_FOUND' | 'WORKER_SHUTDOWN'): void;
}

/** Runs an activity as a worker would: with a context, heartbeats and cancellation. */
export function startActivity<I, T>(
  activity: (input: I) => Promise<T>,
  input: I,
  info: { attempt?: number; workflowId?: string; activityId?: string; isLocal?: boolean } = {},
): ActivityRun<T> {
  const environment = new MockActivityEnvironment(
    {
      attempt: info.attempt ?? 1,
      activityId: info.activityId ?? '7',
      isLocal: info.isLocal ?? false,
      workflowExecution: { workflowId: info.workflowId ?? 'test-run', runId: 'test' },
    },
    // Failing activities are what many tests are about.
    { logger: new DefaultLogger('ERROR', () => undefined) },
  );
  const beats: unknown[] = [];
  environment.on('heartbeat', (details: unknown) => beats.push(details));
  const result = environment.run<unknown[], T, (...args: unknown[]) => Promise<T>>(
    activity as (...args: unknown[]) => Promise<T>,
    input,
  );
  result.catch(() => undefined);
  return { result, beats, cancel: (reason = 'CANCELLED') => environment.cancel(reason) };
}

/** As `startActivity`, for when only the result matters. */
export function runActivity<I, T>(
  activity: (input: I) => Promise<T>,
  input: I,
  info?: Parameters<typeof startActivity>[2],
): Promise<T> {
  return startActivity(activity, input, info).result;
}

/** Waits until `probe` gives something else than undefined or false. */
export async function until<T>(
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  timeoutMs = 120_000,
): Promise<T> {
  for (const deadline = Date.now() + timeoutMs; Date.now() < deadline;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('waited in vain');
}

/** The failure that a promise ends with. */
export async function failureOf(
  promise: Promise<unknown>,
): Promise<{ type?: string; message: string; nonRetryable?: boolean; name: string }> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error as { type?: string; message: string; name: string },
  );
  if (outcome === undefined) throw new Error('it succeeded');
  return outcome;
}
