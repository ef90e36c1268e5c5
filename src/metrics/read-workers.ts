import type { Client } from '@temporalio/client';
import { temporal } from '@temporalio/proto';

// A poll lasts up to a minute, and is counted when it begins.
const LATELY_MS = 150_000;

/** How many workers asked for workflow tasks of that queue lately. */
export async function readWorkers(client: Client, taskQueue: string): Promise<number> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  const since = Date.now() - LATELY_MS;
  const recent = (pollers ?? []).filter(
    ({ lastAccessTime }) => Number(lastAccessTime?.seconds ?? 0) * 1_000 > since,
  );
  return new Set(recent.map(({ identity }) => identity)).size;
}
