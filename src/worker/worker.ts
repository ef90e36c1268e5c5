import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Worker, type WorkerOptions } from '@temporalio/worker';
import { bundleOf } from '../build/workflow-bundle';
import type { Project } from '../catalogue/catalogue';
import { temporalOptions } from '../config/temporal';
import { within } from '../host/within';
import { startTracing } from '../telemetry/start-tracing';
import { createPackActivities, type LoadedProject } from '../packs/definition/combine';
import type { PackDeps } from '../packs/definition/pack';
import { ownPacks } from '../packs/own';
import { readBundle, type Bundle } from './build-id';
import { hostOptions, workerOptions } from './options';
import { serveHealth, type HealthServer } from './health';
import { ensureSearchAttributes } from './search-attributes';
import { bundleOptions, readVersion, type WorkerVersion } from './versioning';

export interface RunningWorker {
  worker: Worker;
  /** Settles when the worker has stopped; rejects when it failed. */
  stopped: Promise<void>;
  /** As it was when the worker started. */
  version: WorkerVersion;
  /** Why runs do not come to it, or cannot go on, and what somebody has to do about it. */
  warnings: string[];
  /** Base address of its health and metrics; absent where the configuration names none. */
  healthUrl?: string;
  stop(): Promise<void>;
}

const HOURLY_MS = 3_600_000;

/** A configuration with its packs; without, our own. */
export type WorkerProject = Project & Partial<Pick<LoadedProject, 'installed'>>;

/** A server that is lost while a worker starts may leave a call unanswered for ever. */
const START_MS = 60_000;

/** Thrown where Temporal was reached, and then said nothing. */
export class NoAnswer extends Error {
  constructor(waitedMs: number) {
    super(`it did not let the worker start within ${waitedMs / 1_000} s`);
    this.name = 'NoAnswer';
  }
}

/**
 * Connects and starts a worker for every runbook, and what watches it where `worker.listen` says so. Throws when
 * Temporal cannot be reached or has no Worker Deployments where one is configured, or that address is taken; NoAnswer
 * when it is not through within `startMs`.
 */
export async function startWorker(
  config: WorkerProject,
  overrides: Partial<WorkerOptions> = {},
  startMs = START_MS,
): Promise<RunningWorker> {
  const { installed = ownPacks } = config;
  const bundle = await readBundle(overrides.workflowBundle ?? (await bundleOf({ ...config, installed })));
  const begun = begin({ ...config, installed }, overrides, bundle);
  return within(begun, startMs, () => {
    // Whoever asked has been told that there is none.
    begun.then(
      ({ stop }) => stop(),
      () => undefined,
    );
    throw new NoAnswer(startMs);
  });
}

async function begin(
  config: WorkerProject & Pick<LoadedProject, 'installed'>,
  overrides: Partial<WorkerOptions>,
  bundle: Bundle,
): Promise<RunningWorker> {
  const { connection: reach, client: clientOptions } = temporalOptions(config);
  const { installed } = config;
  const tracing = await startTracing(config, (text) => console.error(`! ${text}`));
  const native = await NativeConnection.connect(reach);
  const connection = await Connection.connect(reach);
  const client = new Client({
    ...{ connection, ...clientOptions },
    interceptors: { workflow: tracing?.client ?? [] },
  });
  let worker: Worker | undefined;
  let host: Worker | undefined;
  let health: HealthServer | undefined;
  const close = async () => {
    await health?.stop().catch(() => undefined);
    await Promise.allSettled([native.close(), connection.close(), tracing?.end()]);
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
    const unregistered = await ensureSearchAttributes(client);
    const deps: PackDeps = { config, catalogue: config.catalogue, client };
    const activities = createPackActivities(installed, deps);
    worker = await Worker.create({
      connection: native,
      ...clientOptions,
      ...workerOptions(config, tracing),
      ...overrides,
      activities: { ...activities, ...overrides.activities },
      ...bundleOptions(config, bundle, tracing !== undefined),
    });
    host = await Worker.create({
      connection: native,
      ...clientOptions,
      ...hostOptions(config, overrides, tracing),
      activities: { ...activities, ...overrides.activities },
    });
    const hourly = () => Promise.allSettled(installed.map(async (pack) => pack.hourly?.(deps)));
    return {
      ...running(worker, host, hourly, close, health?.url),
      version,
      warnings: [unregistered, version.note].filter((one) => one !== undefined),
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function running(
  worker: Worker,
  host: Worker,
  hourly: () => Promise<unknown>,
  close: () => Promise<unknown>,
  healthUrl: string | undefined,
): Omit<RunningWorker, 'version' | 'warnings'> {
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
