import type { RunReport } from './report';

/** One activity as the history tells it. Times are ISO 8601 in UTC. */
export interface ActivityRecord {
  title: string;
  type: string;
  scheduledAt: string;
  startedAt?: string;
  endedAt?: string;
  /** Attempts begun so far; more than one means that it was retried. */
  attempts: number;
  status: 'scheduled' | 'running' | 'done' | 'failed' | 'timed out' | 'cancelled';
  /** Why it failed, or why the attempt before the last one did. */
  failure?: string;
  worker?: string;
}

/** An Update, signal or cancellation request from outside. */
export interface MessageRecord {
  kind: 'update' | 'signal' | 'cancel';
  name: string;
  at: string;
  /** The name that it gives itself, else the client's. */
  by: string;
  /** Client that sent it, as it calls itself. */
  identity?: string;
  /** Who that was, as the server found out. Not every server says so. */
  principal?: string;
  /** The argument as JSON, cut. */
  argument: string;
  /** What the handler answered, or why it failed. */
  answer?: string;
}

/** What only the event history knows of a run. */
export interface RunHistory {
  status: string;
  taskQueue: string;
  events: number;
  sizeBytes: number;
  attempt: number;
  /** False where the run could not tell its own story, so that its outcome is only Temporal's. */
  toldByRun: boolean;
  activities: ActivityRecord[];
  messages: MessageRecord[];
}

/** A report with what its event history adds to it. */
export interface HistoryReport extends RunReport {
  history: RunHistory;
  /** The runs that it started, where they can still be read. */
  children?: HistoryReport[];
}

/** What a description adds to the events of a run; a stored history has none of it. */
export interface RunFrame {
  workflowId: string;
  runId: string;
  status: string;
  sizeBytes: number;
  /** The run's own report, from its memo or its `status` query. */
  own?: RunReport;
}

/** The activities that belong to one line of the timeline: same title, scheduled within it. */
export function activitiesOf(
  entry: { title: string; startedAt: string; endedAt?: string },
  activities: ActivityRecord[],
): ActivityRecord[] {
  // The timeline has the workflow's clock, which stands at the start of a workflow task; events have the server's.
  const slackMs = 1_000;
  const from = Date.parse(entry.startedAt) - slackMs;
  const to = entry.endedAt === undefined ? Infinity : Date.parse(entry.endedAt) + slackMs;
  return activities.filter(
    ({ title, scheduledAt }) =>
      title === entry.title && Date.parse(scheduledAt) >= from && Date.parse(scheduledAt) <= to,
  );
}

/** What the history adds to a line of the timeline: attempts, and the last failure where the line does not say it. */
export function retriesOf(
  entry: { title: string; startedAt: string; endedAt?: string; detail?: string },
  history: RunHistory | undefined,
): string[] {
  if (history === undefined) return [];
  const told = (failure: string) =>
    entry.detail !== undefined && entry.detail !== '' && failure.endsWith(entry.detail);
  return activitiesOf(entry, history.activities)
    .filter(({ attempts }) => attempts > 1)
    .map(({ attempts, failure }) =>
      failure === undefined || told(failure)
        ? `${attempts} attempts`
        : `${attempts} attempts, last failure: ${failure}`,
    );
}
