import { ResourceBasedController, type WorkerOptions, type WorkerTuner } from '@temporalio/worker';
import { whileAlive } from '../activities/support/heartbeat';
import type { LoadedConfig } from '../config/load';
import { workerHostOf } from '../config/worker-host';
import { workerIdentity } from '../config/worker-identity';
import { hostQueue } from '../contract/hosts';
import type { Tracing } from '../telemetry/start-tracing';
import { createTurnSlots } from './turn-slots';
import { countUnderWay, type UnderWay } from './under-way';

// Each activity may hold a few database connections and a child process.
const MAX_ACTIVITIES = 20;
/** They are parts of turns, and those that ask a guard wait for another turn: more than ask at the same time. */
const MAX_LOCAL_ACTIVITIES = 60;
const MAX_TURNS = 100;
/** The others are for runs that have begun, and for guards. */
export const MAX_UNKNOWN_TURNS = 20;
/** For each place: so many runs have begun that none stays empty, and no more than stay in memory. */
const CROWD_PER_PLACE = 2.5;
const TRICKLE_MS = 500;
const MAX_HOST_ACTIVITIES = 100;
/** However little the machine has left: one long step must not keep everything else waiting. */
const MIN_ACTIVITIES = 5;
/** What a step needs shows only after it has begun. */
const RAMP_MS = 100;
/** A frozen worker keeps its open polls, and the server hands work to them: the fewer, the sooner another one has it. */
const FEW_POLLS = { type: 'autoscaling', minimum: 1, initial: 2, maximum: 10 } as const;

/** Of the worker that takes the turns of runs and the steps that any host can do. */
export function workerOptions(config: LoadedConfig, tracing?: Tracing) {
  const underWay = countUnderWay();
  const common = commonOptions(config, tracing);
  return {
    taskQueue: config.temporal.taskQueue,
    ...common,
    interceptors: { activity: [...common.interceptors.activity, underWay.interceptor] },
    tuner: tunerOf(config, underWay),
    ...(tracing === undefined ? {} : { sinks: tracing.sinks }),
    // A run that waits for days need not stay in memory; the history brings it back.
    maxCachedWorkflows: 300,
    workflowTaskPollerBehavior: FEW_POLLS,
    // After a crash waiting runs answer again after that. Sooner, a busy worker would lose what it is about to take.
    stickyQueueScheduleToStartTimeout: '5s',
    // Not in the SDK's types. Ending a turn in the middle corrupts Node and ends the process, and one of thousands of
    // signals takes seconds on a busy machine.
    isolateExecutionTimeout: '1 minute',
  } satisfies Partial<WorkerOptions> & { isolateExecutionTimeout: string };
}

/** How much it does at once: a fixed number of steps, or as many as memory and processors allow. */
function tunerOf({ worker: { tuner }, limits }: LoadedConfig, underWay: UnderWay): WorkerTuner {
  const workflowTaskSlotSupplier = createTurnSlots(
    {
      all: MAX_TURNS,
      unknown: MAX_UNKNOWN_TURNS,
      crowd: CROWD_PER_PLACE * (limits.maxConcurrent + limits.maxConcurrentScheduled),
      trickleMs: TRICKLE_MS,
    },
    underWay.count,
  );
  const nexusTaskSlotSupplier = { type: 'fixed-size', numSlots: 1 } as const;
  if (tuner === undefined)
    return {
      workflowTaskSlotSupplier,
      nexusTaskSlotSupplier,
      activityTaskSlotSupplier: { type: 'fixed-size', numSlots: MAX_ACTIVITIES },
      localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: MAX_LOCAL_ACTIVITIES },
    };
  const { targetMemoryUsage, targetCpuUsage, maxActivities } = tuner;
  const resources = {
    type: 'resource-based',
    controller: ResourceBasedController.create({ targetMemoryUsage, targetCpuUsage }),
  } as const;
  return {
    // However little is left: runs that ask a guard hold theirs, and the guard needs one to answer.
    workflowTaskSlotSupplier,
    nexusTaskSlotSupplier,
    activityTaskSlotSupplier: {
      ...resources,
      minimumSlots: Math.min(MIN_ACTIVITIES, maxActivities),
      maximumSlots: maxActivities,
      rampThrottle: RAMP_MS,
    },
    localActivityTaskSlotSupplier: { ...resources, minimumSlots: MAX_LOCAL_ACTIVITIES },
  };
}

/** Takes the steps that need the disk of this host: the release that began them or another one, so without a version. */
export function hostOptions(
  config: LoadedConfig,
  { taskQueue = config.temporal.taskQueue, shutdownGraceTime }: Partial<WorkerOptions>,
  tracing?: Tracing,
) {
  return {
    ...commonOptions(config, tracing),
    ...(shutdownGraceTime === undefined ? {} : { shutdownGraceTime: shutdownGraceTime as number }),
    taskQueue: hostQueue(taskQueue, workerHostOf(config)),
    // A step that has to wait here counts as one whose host is lost.
    maxConcurrentActivityTaskExecutions: MAX_HOST_ACTIVITIES,
  } satisfies Partial<WorkerOptions>;
}

function commonOptions(config: LoadedConfig, tracing?: Tracing) {
  return {
    identity: workerIdentity(config),
    // Cancellation reaches an activity with a heartbeat.
    maxHeartbeatThrottleInterval: '1s',
    defaultHeartbeatThrottleInterval: '1s',
    shutdownGraceTime: '10s',
    interceptors: {
      activity: [
        ...(tracing?.activity ?? []),
        () => ({ inbound: { execute: (input, next) => whileAlive(() => next(input)) } }),
      ],
    },
    activityTaskPollerBehavior: FEW_POLLS,
  } satisfies Partial<WorkerOptions>;
}
