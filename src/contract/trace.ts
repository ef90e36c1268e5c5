/** What the sandbox and the worker say to each other about traces. */

/** A global that a worker which sends traces sets in front of the bundle. */
export const TRACED_FLAG = 'runbooksSendsTraces';

/** Where `@temporalio/interceptors-opentelemetry` keeps the context of a trace. */
export const TRACE_HEADER = '_tracer-data';

/** Names of attributes. */
export const ATTRIBUTES = {
  runbook: 'runbooks.runbook',
  service: 'runbooks.service',
  mode: 'runbooks.mode',
  outcome: 'runbooks.outcome',
  attempt: 'runbooks.attempt',
  errorType: 'error.type',
  workflowId: 'temporalWorkflowId',
  runId: 'run_id',
} as const;

/** A run that has ended, as its trace shows it. */
export interface EndedRun {
  traceId: string;
  spanId: string;
  /** Absent where nobody's trace led to it. */
  parentSpanId?: string;
  name: string;
  startMs: number;
  endMs: number;
  attributes: Record<string, string>;
  failed: boolean;
}

/** What a worker that sends traces injects. */
export type TraceSinks = { trace: { ended(run: EndedRun): void } };
