import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

/** What the SDK calls a query that comes alone, and not with a workflow task. */
const ALONE = 'legacy_query';
const REFUSED =
  'it is changing hands between workers; ask again in a moment, or read its history if it was terminated';

/**
 * Refuses to move a run on before a workflow task has begun for it. Where a worker that does not know a run is asked a
 * query and the run's history has gone on meanwhile, the SDK applies what is new with the clock of the task before, and
 * keeps what the run does then: it decides by a time that is seconds or hours old, and its history never replays again.
 * The query fails here, the worker forgets the run, and the next task begins from its history.
 *
 * Where a task had begun meanwhile on a worker that died in it, the run moves on with the clock of that task, as if it were
 * this worker's own. Then the query tells: it comes alone, and its history is no longer than the one that moved the run,
 * while after a task of one's own it has at least the end of that task. A query that was sent before that end is refused,
 * too, which costs a replay.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  let last: { startedAt: string; bytes: string; events: number } | undefined;
  /** Events of the history that moved it, outside of a replay. */
  let movedBy: number | undefined;
  return {
    internals: [
      {
        activate(input, next) {
          const { timestamp, historyLength, historySizeBytes, isReplaying, jobs } = input.activation;
          const events = Number(historyLength);
          const moves = (jobs ?? []).some(
            ({ queryWorkflow, removeFromCache }) => !queryWorkflow && !removeFromCache,
          );
          const isAlone = (jobs ?? []).some(({ queryWorkflow }) => queryWorkflow?.queryId === ALONE);
          if (isAlone && movedBy === events) throw new Error(REFUSED);
          if (moves) {
            const startedAt = `${String(timestamp?.seconds)}.${timestamp?.nanos}`;
            const task = { startedAt, bytes: String(historySizeBytes), events };
            // Each workflow task has a time of its own, but where the server's clock was set back: the SDK keeps the later
            // one then. Each has found a larger history.
            const sameTask = last?.startedAt === task.startedAt && last.bytes === task.bytes;
            if (isReplaying !== true && sameTask && last?.events !== task.events) throw new Error(REFUSED);
            last = task;
            movedBy = isReplaying === true ? undefined : events;
          }
          next(input);
        },
      },
    ],
  };
};
