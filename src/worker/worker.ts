import { Client, Connection } from '@temporalio/client';
import {
  NativeConnection,
  Worker,
  type NativeConnectionOptions,
  type WorkerOptions,
} from '@temporalio/worker';
import { bundleOf } from '../build/workflow-bundle';
import type { Project } from '../catalogue/catalogue';
import { withDigest } from '../config/digest';
import type { LoadedConfig } from '../config/load';
import { connectionOptions } from '../config/temporal';
import { hostQueue } from '../contract/hosts';
import { VERSION } from '../config/version';
import { workerHostOf } from '../config/worker-host';
import { createPackActivities, type LoadedProject } from '../packs/definition/combine';
import type { PackDeps } from '../packs/definition/pack';
import { ownPacks } from '../packs/own';
import { readBundle } from './build-id';
import { serveHealth, type HealthServer } from './health';
import { registerSearchAttributes } from './search-attributes';
import { bundleOptions, readVersion, type WorkerVersion } from './versioning';

export interface RunningWorker {
  worker: Worker;
  /** Settles when the worker has stopped; rejects when it failed. */
  stopped: Promise<void>;
  /** As it was when the worker started. */
  version: WorkerVersion;
  /** Base address of its health and metrics; absent where the configuration names none. */
  healthUrl?: string;
  stop(): Promise<void>;
}

// Each activity may hold a few database connections and a child process.
const MAX_ACTIVITIES = 20;
const MAX_HOST_ACTIVITIES = 100;
const HOURLY_MS = 3_600_000;

/** A configuration with its packs; without, our own. */
export type WorkerProject = Project & Partial<Pick<LoadedProject, 'installed'>>;

/**
 * Connects and starts a worker for every runbook, and what watches it where `worker.listen` says so. Throws when
 * Temporal cannot be reached or has no Worker Deployments where one is configured, or that address is taken.
 */
export async function startWorker(
  config: WorkerProject,
  overrides: Partial<WorkerOptions> = {},
): Promise<RunningWorker> {
  const options = connectionOptions(config);
  const { installed = ownPacks } = config;
  const bundle = await readBundle(overrides.workflowBundle ?? (await bundleOf({ ...config, installed })));
  const native = await NativeConnection.connect(options.connection as NativeConnectionOptions);
  const connection = await Connection.connect(options.connection);
  const client = new Client({ connection, namespace: options.namespace });
  let worker: Worker | undefined;
  let host: Worker | undefined;
  let health: HealthServer | undefined;
  const close = async () => {
    await health?.stop().catch(() => undefined);
    await Promise.allSettled([native.close(), connection.close()]);
  };
  try {
    const { listen } = config.worker;
    // First: an address that is taken is better said before anything is accepted.
    if (listen !== undefined)
      health = await serveHealth(listen, {
        config,
        client,
        buildId: bundle.buildId,
        state: () => worker?.getState(),
      });
    const version = await readVersion(client, config, bundle.buildId);
    await registerSearchAttributes(connection, options.namespace);
    const deps: PackDeps = { config, catalogue: config.catalogue, client };
    const activities = createPackActivities(installed, deps);
    worker = await Worker.create({
      connection: native,
      namespace: options.namespace,
      ...workerOptions(config),
      ...overrides,
      activities: { ...activities, ...overrides.activities },
      ...bundleOptions(config, bundle),
    });
    host = await Worker.create({
      connection: native,
      namespace: options.namespace,
      ...hostOptions(config, overrides.taskQueue),
      activities: { ...activities, ...overrides.activities },
    });
    const hourly = () => Promise.allSettled(installed.map(async (pack) => pack.hourly?.(deps)));
    return { ...running(worker, host, hourly, close, health?.url), version };
  } catch (error) {
    await close();
    throw error;
  }
}

function workerOptions(config: LoadedConfig) {
  return {
    taskQueue: config.temporal.taskQueue,
    ...commonOptions(config),
    maxConcurrentActivityTaskExecutions: MAX_ACTIVITIES,
    maxConcurrentLocalActivityExecutions: MAX_ACTIVITIES,
    // A run that waits for days need not stay in memory; the history brings it back.
    maxCachedWorkflows: 300,
    // After a crash waiting runs answer again after one second instead of ten.
    stickyQueueScheduleToStartTimeout: '1s',
  } satisfies Partial<WorkerOptions>;
}

/** Takes the steps that need the disk of this host: the release that began them or another one, so without a version. */
function hostOptions(config: LoadedConfig, taskQueue = config.temporal.taskQueue) {
  return {
    ...commonOptions(config),
    taskQueue: hostQueue(taskQueue, workerHostOf(config)),
    // A step that has to wait here counts as one whose host is lost.
    maxConcurrentActivityTaskExecutions: MAX_HOST_ACTIVITIES,
  } satisfies Partial<WorkerOptions>;
}

function commonOptions(config: LoadedConfig) {
  return {
    identity: withDigest(`runbooks ${VERSION} ${process.pid}@${workerHostOf(config)}`, config),
    // Cancellation reaches an activity with a heartbeat.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
    shutdownGraceTime: '10s',
  } satisfies Partial<WorkerOptions>;
}

function running(
  worker: Worker,
  host: Worker,
  hourly: () => Promise<unknown>,
  close: () => Promise<unknown>,
  healthUrl: string | undefined,
): Omit<RunningWorker, 'version'> {
  const everyHour = setInterval(() => void hourly(), HOURLY_MS);
  void hourly();
  const workers = [worker, host];
  // Neither is of use without the other.
  const shutDown = () => {
    for (const one of workers) if (one.getState() === 'RUNNING') one.shutdown();
  };
  const stopped = Promise.all(workers.map((one) => one.run().finally(shutDown)))
    .then(() => undefined)
    .finally(async () => {
      clearInterval(everyHour);
      await close();
    });
  // Whoever started it awaits `stopped`; until then a failure must not count as unhandled.
  stopped.catch(() => undefined);
  return {
    worker,
    stopped,
    ...(healthUrl === undefined ? {} : { healthUrl }),
    stop: async () => {
      shutDown();
      await stopped;
    },
  };
}
