import { activityInfo } from '@temporalio/activity';

/** One execution of an activity, in milliseconds of this process's clock. */
export interface Call {
  workflowId: string;
  activity: string;
  startedMs: number;
  endedMs: number;
}

export interface Recorder {
  /** The activities of one run in the order in which they began. */
  of(workflowId: string): Call[];
}

type Functions = Record<string, (...args: never[]) => Promise<unknown>>;

/** The same activities, each noting when it begins and ends: what lies between two of them is the engine. */
export function recordCalls<A extends object>(given: A): { calls: Recorder; activities: A } {
  const all: Call[] = [];
  const record =
    (activity: string, call: Functions[string]) =>
    async (...args: never[]): Promise<unknown> => {
      const entry: Call = {
        workflowId: activityInfo().workflowExecution?.workflowId ?? '',
        activity,
        startedMs: performance.now(),
        endedMs: Number.NaN,
      };
      all.push(entry);
      try {
        return await call(...args);
      } finally {
        entry.endedMs = performance.now();
      }
    };
  const activities = Object.fromEntries(
    Object.entries(given as Functions).map(([name, call]) => [name, record(name, call)]),
  ) as A;
  return { calls: { of: (id) => all.filter(({ workflowId }) => workflowId === id) }, activities };
}
