import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { Activities } from '../activities';

/** Forgotten then: it ended without a word, it is long at work, or it waits for what new ones need not wait for. */
const FORGET_MS = 60_000;

const SEEKS: keyof Activities = 'seekAdmission';
const LEAVES: keyof Activities = 'leaveGuards';

export interface UnderWay {
  /** Runs that nobody started by hand, which ask for a place or have one, as far as this worker has heard. */
  count(): number;
  interceptor: ActivityInterceptorsFactory;
}

/** Counts runs by the activities with which they ask for their place and give it back. */
export function countUnderWay(): UnderWay {
  const runs = new Map<string, number>();
  return {
    count: () => {
      for (const [runId, since] of runs) if (Date.now() - since > FORGET_MS) runs.delete(runId);
      return runs.size;
    },
    interceptor: ({ info: { activityType, workflowExecution } }) => ({
      inbound: {
        execute: async (input, next) => {
          const runId = workflowExecution?.runId ?? '';
          if (activityType === SEEKS) runs.set(runId, Date.now());
          try {
            return await next(input);
          } finally {
            if (activityType === LEAVES) runs.delete(runId);
          }
        },
      },
    }),
  };
}
