import { Client, Connection } from '@temporalio/client';
import {
  NativeConnection,
  Worker,
  type NativeConnectionOptions,
  type WorkerOptions,
} from '@temporalio/worker';
import { hostname } from 'node:os';
import { createActivities } from '../activities';
import type { LoadedConfig } from '../config/load';
import { connectionOptions } from '../config/temporal';
import { VERSION } from '../config/version';
import { workflowBundle } from './bundle';
import { registerSearchAttributes } from './search-attributes';

export interface RunningWorker {
  worker: Worker;
  /** Settles when the worker has stopped; rejects when it failed. */
  stopped: Promise<void>;
  stop(): Promise<void>;
}

// Each activity may hold a few database connections and a child process.
const MAX_ACTIVITIES = 20;
const SWEEP_EVERY_MS = 3_600_000;

/** Connects and starts a worker for every runbook. Throws when Temporal cannot be reached. */
export async function startWorker(
  config: LoadedConfig,
  overrides: Partial<WorkerOptions> = {},
): Promise<RunningWorker> {
  const options = connectionOptions(config);
  const native = await NativeConnection.connect(options.connection as NativeConnectionOptions);
  const connection = await Connection.connect(options.connection);
  const client = new Client({ connection, namespace: options.namespace });
  await registerSearchAttributes(connection, options.namespace);
  const activities = createActivities({ config, client });
  const worker = await Worker.create({
    connection: native,
    namespace: options.namespace,
    taskQueue: config.temporal.taskQueue,
    identity: `runbooks ${VERSION} ${process.pid}@${hostname()}`,
    workflowBundle: workflowBundle(),
    activities,
    maxConcurrentActivityTaskExecutions: MAX_ACTIVITIES,
    maxConcurrentLocalActivityExecutions: MAX_ACTIVITIES,
    // A run that waits for days need not stay in memory; the history brings it back.
    maxCachedWorkflows: 300,
    // After a crash waiting runs answer again after one second instead of ten.
    stickyQueueScheduleToStartTimeout: '1s',
    // Cancellation reaches an activity with a heartbeat.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
    shutdownGraceTime: '10s',
    ...overrides,
  });
  // Disposable clusters outlive a killed worker on purpose; whoever comes next removes those whose time is over.
  const sweep = () => void activities.sweepScratch().catch(() => undefined);
  const sweeping = setInterval(sweep, SWEEP_EVERY_MS);
  sweep();
  const stopped = worker.run().finally(async () => {
    clearInterval(sweeping);
    await Promise.allSettled([native.close(), connection.close()]);
  });
  // Whoever started it awaits `stopped`; until then a failure must not count as unhandled.
  stopped.catch(() => undefined);
  return {
    worker,
    stopped,
    stop: async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await stopped;
    },
  };
}
