import type { Queue } from 'bullmq';

/** Keys of ours in the application's Redis; beside those of BullMQ, so that emptying a queue does not touch them. */
const own = (queue: Queue, what: string): string => `durable-runbooks:${queue.toKey(what)}`;

/** Which run paused a queue. */
export const pausedByKey = (queue: Queue): string => own(queue, 'paused-by');

/** Which jobs a run has retried, and the failure each had then. */
export const retriedKey = (queue: Queue, run: string): string => own(queue, `retried:${run}`);

/** Which tasks were put back after a failure of the provider, by whichever run, and the failure each had then. */
export const putBackKey = (queue: Queue): string => own(queue, 'put-back');

/** Longer than a run that retries waits for anybody. */
export const RETRIED_SECONDS = 14 * 86_400;
