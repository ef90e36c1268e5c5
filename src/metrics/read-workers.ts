import type { Client } from '@temporalio/client';
import { readQueue, takersOf } from '../versions/queue';

export interface Workers {
  /** Those that asked for workflow tasks lately. */
  all: number;
  /** Those of them that new runs go to. */
  takers: number;
}

/** Counts the workers of that queue. */
export async function readWorkers(client: Client, taskQueue: string): Promise<Workers> {
  const queue = await readQueue(client, taskQueue);
  return { all: queue.workers.length, takers: takersOf(queue).length };
}
