import { databaseIn, type Fence, type Place } from '../../contract/place';
import { runFencedChange } from '../postgres/session/fenced-change';
import { withHeldFence } from '../postgres/session/held-fence';
import type { CommandResult } from '../support/configured-command';
import type { ActivityDeps } from '../support/deps';
import { pausedByKey } from './marks';
import { openQueue, requireKnown, withRedis, type OpenQueue } from './redis';
import { queuesOf } from './settings';

export interface QueueChange extends Place {
  queue: string;
  /** Of the run, by which it knows later what it did itself. */
  run: string;
  fence: Fence;
}

export interface QueueChanged {
  changed: boolean;
  detail: string;
}

const WAIT_MS = 60_000;

/**
 * Redis keeps no fence that BullMQ would look at, so the one in the environment's database is held while a queue is changed.
 * `body` ends when that is lost.
 */
export async function changeQueue<T>(
  deps: ActivityDeps,
  { queue, fence, ...place }: Omit<QueueChange, 'run'>,
  action: string,
  body: (open: OpenQueue, lost: AbortSignal) => Promise<T>,
): Promise<T> {
  const held = { fence, waitMs: WAIT_MS, evenReadOnly: true, action: `hold the fence to ${action}` };
  const at = { service: place.service, environment: place.environment };
  return withHeldFence(deps, databaseIn(at), held, ({ hold }) =>
    hold((lost) =>
      withRedis(deps, at, async (redis, settings) => {
        const open = openQueue(redis, settings, queue, at);
        await requireKnown(open);
        return body(open, lost);
      }),
    ),
  );
}

/** Changes of queues. All throw as `readQueues`, and StaleFencingToken, FenceBusy, WrongDatabase, DatabaseUnreachable. */
export function createQueueChangeActivities(deps: ActivityDeps) {
  const change = async (name: 'scale' | 'restore', { fence, ...place }: Place & { fence: Fence }) => {
    const { workers } = queuesOf(deps, place);
    if (workers === undefined) return { ran: false, detail: 'workers is not configured', durationMs: 0 };
    return runFencedChange(deps, { ...place, fence }, workers[name], `${name} the workers of queues`);
  };
  return {
    /**
     * Pauses a queue, so that nothing of it is started any more, and notes that this run did. One that somebody else has
     * paused is left to them. A retry finds what the attempt before did, and says that it is done.
     */
    async pauseQueue(input: QueueChange): Promise<QueueChanged> {
      return changeQueue(deps, input, 'pause a queue', async ({ redis, queue, title }) => {
        const mark = pausedByKey(queue);
        if (await queue.isPaused()) {
          if ((await redis.get(mark)) === input.run) return { changed: true, detail: `${title} is paused` };
          return {
            changed: false,
            detail: `${title} was paused by somebody else before, and is left to them`,
          };
        }
        await redis.set(mark, input.run);
        await queue.pause();
        return { changed: true, detail: `${title} is paused; what was begun goes on` };
      });
    },

    /**
     * Resumes a queue; with `onlyOwn` where this run paused it, and else whoever did. Safe to retry: one that is not
     * paused is left as it is.
     */
    async resumeQueue({ onlyOwn, ...input }: QueueChange & { onlyOwn: boolean }): Promise<QueueChanged> {
      return changeQueue(deps, input, 'resume a queue', async ({ redis, queue, title }) => {
        const mark = pausedByKey(queue);
        const isOwn = (await redis.get(mark)) === input.run;
        if (onlyOwn && !isOwn)
          return { changed: false, detail: `${title} was not paused by this run, and is left as it is` };
        if (!(await queue.isPaused())) {
          await redis.del(mark);
          return { changed: false, detail: `${title} is not paused any more` };
        }
        await queue.resume();
        await redis.del(mark);
        return { changed: true, detail: `${title} is resumed` };
      });
    },

    /** Starts more workers, as configured. A retry does it again: whoever configures it makes that harmless. */
    async scaleQueueWorkers(input: Place & { fence: Fence }): Promise<CommandResult> {
      return change('scale', input);
    },

    /** As many workers as usual, as configured. A retry does it again: whoever configures it makes that harmless. */
    async restoreQueueWorkers(input: Place & { fence: Fence }): Promise<CommandResult> {
      return change('restore', input);
    },
  };
}
