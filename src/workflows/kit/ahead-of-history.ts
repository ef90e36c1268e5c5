import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

/**
 * Refuses to move a run on before a workflow task has begun for it. Where a worker that does not know a run is asked a
 * query and the run's history has gone on meanwhile, the SDK applies what is new with the clock of the task before, and
 * keeps what the run does then: it decides by a time that is seconds or hours old, and its history never replays again.
 * The query fails here, the worker forgets the run, and the next task begins from its history.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last: { startedAt: string; bytes: string; events: number } | undefined;
  return {
    internals: [
      {
        activate(input, next) {
          const { timestamp, historyLength, historySizeBytes, isReplaying, jobs } = input.activation;
          const moves = (jobs ?? []).some(
            ({ queryWorkflow, removeFromCache }) => !queryWorkflow && !removeFromCache,
          );
          if (moves) {
            const task = {
              startedAt: `${String(timestamp?.seconds)}.${timestamp?.nanos}`,
              bytes: String(historySizeBytes),
              events: Number(historyLength),
            };
            // Each workflow task has a time of its own, but where the server's clock was set back: the SDK keeps the later
            // one then. Each has found a larger history.
            const sameTask = last?.startedAt === task.startedAt && last.bytes === task.bytes;
            if (isReplaying !== true && sameTask && last?.events !== task.events)
              throw new Error(
                'it is changing hands between workers; ask again in a moment, or read its history if it was terminated',
              );
            last = task;
          }
          next(input);
        },
      },
    ],
  };
};
