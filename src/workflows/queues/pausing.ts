import type { Fence, Place } from '../../contract/place';
import type { Run } from '../kit';
import { runKey } from './retry-failed';

/** Pauses queues, with the way back; returns those that this run paused itself. */
export async function pauseQueues(run: Run, place: Place, fence: Fence, queues: string[]): Promise<string[]> {
  const paused: string[] = [];
  for (const queue of queues) {
    const { changed } = await run.step(
      pauseTitle(queue),
      (act) => act.pauseQueue({ ...place, queue, run: runKey(), fence }),
      {
        kind: 'mutate',
        undo: { title: `Resume ${queue}`, back: () => resumeOwn(run, place, fence, [queue]) },
        describe: ({ detail }) => detail,
      },
    );
    if (changed) paused.push(queue);
  }
  return paused;
}

/** Only what this run has paused; what somebody resumed meanwhile is well as it is. */
export async function resumeOwn(run: Run, place: Place, fence: Fence, queues: string[]): Promise<void> {
  for (const queue of queues)
    await run.step(
      `Resume ${queue}`,
      (act) => act.resumeQueue({ ...place, queue, run: runKey(), onlyOwn: true, fence }),
      {
        kind: 'mutate',
        undo: { takesBack: pauseTitle(queue) },
        describe: ({ detail }) => detail,
      },
    );
}

const pauseTitle = (queue: string): string => `Pause ${queue}`;
