import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

/**
 * Refuses to move a run on before a workflow task has begun for it. Where a worker that does not know a run is asked a
 * query and the run's history has gone on meanwhile, the SDK applies what is new with the clock of the task before, and
 * keeps what the run does then: it decides by a time that is seconds or hours old, and its history never replays again.
 * The query fails here, the worker forgets the run, and the next task begins from its history.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last: { startedAt: string; events: number } | undefined;
  return {
    internals: [
      {
        activate(input, next) {
          const { timestamp, historyLength, isReplaying, jobs } = input.activation;
          const moves = (jobs ?? []).some(
            ({ queryWorkflow, removeFromCache }) => !queryWorkflow && !removeFromCache,
          );
          if (moves) {
            const task = {
              startedAt: `${String(timestamp?.seconds)}.${timestamp?.nanos}`,
              events: Number(historyLength),
            };
            // Each workflow task has a time of its own.
            if (isReplaying !== true && last?.startedAt === task.startedAt && last.events !== task.events)
              throw new Error('it is changing hands between workers; ask again in a moment');
            last = task;
          }
          next(input);
        },
      },
    ],
  };
};
