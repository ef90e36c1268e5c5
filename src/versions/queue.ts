import type { Client } from '@temporalio/client';
import type { WorkerDeploymentVersion } from '@temporalio/common';
import { temporal } from '@temporalio/proto';

// A poll lasts up to a minute, and is counted when it begins.
const LATELY_MS = 150_000;
const { TASK_QUEUE_TYPE_WORKFLOW } = temporal.api.enums.v1.TaskQueueType;
const { WORKER_VERSIONING_MODE_VERSIONED } = temporal.api.enums.v1.WorkerVersioningMode;

/** A worker that asked for workflow tasks lately. */
export interface QueueWorker {
  identity: string;
  /** Undefined for one without a version. */
  version: WorkerDeploymentVersion | undefined;
}

/** Who takes the work of a task queue. */
export interface Queue {
  taskQueue: string;
  /** The version that new runs go to; undefined: they go to workers without one. */
  current: WorkerDeploymentVersion | undefined;
  workers: QueueWorker[];
}

/** Reads who listens on a task queue, and where its new runs go. */
export async function readQueue(client: Client, taskQueue: string): Promise<Queue> {
  const { pollers, versioningInfo } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: TASK_QUEUE_TYPE_WORKFLOW,
  });
  const since = Date.now() - LATELY_MS;
  const workers = new Map<string, QueueWorker>();
  for (const { identity, lastAccessTime, deploymentOptions } of pollers ?? []) {
    if (Number(lastAccessTime?.seconds ?? 0) * 1_000 <= since) continue;
    const isVersioned = deploymentOptions?.workerVersioningMode === WORKER_VERSIONING_MODE_VERSIONED;
    const version = isVersioned ? versionOf(deploymentOptions) : undefined;
    workers.set(`${identity} ${version?.buildId}`, { identity: identity ?? '', version });
  }
  return {
    taskQueue,
    current: versionOf(versioningInfo?.currentDeploymentVersion),
    workers: [...workers.values()],
  };
}

/** The workers that new runs go to. */
export function takersOf({ current, workers }: Queue): QueueWorker[] {
  return workers.filter(({ version }) => isSame(version, current));
}

/** Why a new run would wait, and what to do about it; undefined where a worker takes it. */
export function obstacleOf(queue: Queue): string | undefined {
  const { taskQueue, current, workers } = queue;
  if (takersOf(queue).length > 0) return undefined;
  if (workers.length === 0 && current === undefined)
    return `No worker listens on task queue ${taskQueue}: new runs wait for one. Start it with \`runbooks worker\`.`;
  const others = [...new Set(workers.map(({ version }) => version?.buildId ?? 'without a version'))];
  if (current !== undefined) {
    const who = others.length === 0 ? '' : ` (those that listen: ${others.join(', ')})`;
    return `New runs go to version ${current.buildId} of ${current.deploymentName}, and no worker of it listens${who}: they wait. Start a worker of that release, or make another version current: \`runbooks versions\` shows them.`;
  }
  const [version] = workers.flatMap((worker) => worker.version ?? []);
  return `No version of ${version?.deploymentName} is current: new runs wait, although workers listen (${others.join(', ')}). Make one current: \`runbooks versions set-current ${version?.buildId}\`.`;
}

const isSame = (a: WorkerDeploymentVersion | undefined, b: WorkerDeploymentVersion | undefined): boolean =>
  a?.buildId === b?.buildId && a?.deploymentName === b?.deploymentName;

function versionOf(
  from: { deploymentName?: string | null; buildId?: string | null } | null | undefined,
): WorkerDeploymentVersion | undefined {
  const { deploymentName, buildId } = from ?? {};
  return deploymentName && buildId ? { deploymentName, buildId } : undefined;
}
