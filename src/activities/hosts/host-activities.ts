import { temporal } from '@temporalio/proto';
import { workerHostOf } from '../../config/worker-host';
import { hostIn } from '../../config/worker-identity';
import type { OnHost } from '../../contract/hosts';
import type { ActivityDeps } from '../support/deps';

// A poll lasts up to a minute, and is counted when it begins.
const LATELY_MS = 150_000;
const { TASK_QUEUE_TYPE_WORKFLOW } = temporal.api.enums.v1.TaskQueueType;

export function createHostActivities(deps: ActivityDeps) {
  return {
    /** The hosts that workers lately asked for work from, that of the one who answers first. Reads only. */
    async listHosts(): Promise<string[]> {
      const own = workerHostOf(deps.config);
      if (deps.client === undefined) return [own];
      const { pollers } = await deps.client.workflowService.describeTaskQueue({
        namespace: deps.client.options.namespace,
        taskQueue: { name: deps.config.temporal.taskQueue },
        taskQueueType: TASK_QUEUE_TYPE_WORKFLOW,
      });
      const since = (Date.now() - LATELY_MS) / 1_000;
      const lately = (pollers ?? [])
        .filter(({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) > since)
        .flatMap(({ identity }) => hostIn(identity ?? '') ?? []);
      return [...new Set([own, ...lately.sort()])];
    },
  };
}

/** Lets a result say that what it names lies on this worker's host. */
export function onThisHost<I, T extends object>(
  deps: ActivityDeps,
  activity: (input: I) => Promise<T>,
): (input: I) => Promise<T & OnHost> {
  return async (input) => ({ ...(await activity(input)), workerHost: workerHostOf(deps.config) });
}
