import {
  ApplicationFailure,
  defaultPayloadConverter,
  proxySinks,
  workflowInfo,
  type WorkflowInterceptorsFactory,
} from '@temporalio/workflow';
import { searchAttributes } from '../../contract/search-attributes';
import { ATTRIBUTES, TRACE_HEADER, TRACED_FLAG, type TraceSinks } from '../../contract/trace';

/** Of W3C Trace Context. */
interface Context {
  traceId: string;
  spanId: string;
}
type Headers = Parameters<typeof defaultPayloadConverter.fromPayload>[0];

const IS_TRACED = TRACED_FLAG in globalThis;
const sinks = proxySinks<TraceSinks>();

interface TraceState {
  /** Of this run, from the moment that it says it is one; guards and other entities have none. */
  own?: Context;
  parent?: Context | undefined;
}

/** On the global object, which the SDK keeps for each run: modules are shared by all runs of a worker. */
function stateOfRun(): TraceState {
  return ((globalThis as { runbooksTrace?: TraceState }).runbooksTrace ??= {});
}

/**
 * Says that a runbook begins, which is a trace or a part of one. Everything comes of the history, and no promise is put
 * between: whether a worker sends traces changes nothing of what a run does, and may change while it runs. (The SDK's own
 * interceptors of workflows draw from the same random numbers as runs, and add turns of the queue of promises.)
 */
export function beginTrace(): void {
  if (!IS_TRACED) return;
  const { runId, firstExecutionRunId } = workflowInfo();
  const state = stateOfRun();
  state.own = {
    traceId: state.parent?.traceId ?? hexOf(firstExecutionRunId),
    spanId: hexOf(runId).slice(16),
  };
}

export const interceptors: WorkflowInterceptorsFactory = () => {
  if (!IS_TRACED) return {};
  return {
    inbound: [
      {
        execute(input, next) {
          stateOfRun().parent = contextOf(input.headers[TRACE_HEADER]);
          const running = next(input);
          running.then(
            () => tell(),
            (error: unknown) => tell(error),
          );
          return running;
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(withContext(input)),
        scheduleLocalActivity: (input, next) => next(withContext(input)),
        startChildWorkflowExecution: (input, next) => next(withContext(input)),
        continueAsNew: (input, next) => next(withContext(input)),
      },
    ],
  };
};

function withContext<T extends { headers: Record<string, Headers> }>(input: T): T {
  const { own } = stateOfRun();
  if (own === undefined) return input;
  const traceparent = `00-${own.traceId}-${own.spanId}-01`;
  const header = defaultPayloadConverter.toPayload({ traceparent });
  return { ...input, headers: { ...input.headers, [TRACE_HEADER]: header } };
}

function contextOf(header: Headers | undefined): Context | undefined {
  if (header === undefined) return undefined;
  const { traceparent } = defaultPayloadConverter.fromPayload<{ traceparent?: string }>(header);
  const [, traceId, spanId] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f][13579bdf]$/.exec(traceparent ?? '') ?? [];
  return traceId === undefined || spanId === undefined ? undefined : { traceId, spanId };
}

function tell(error?: unknown): void {
  const { own, parent } = stateOfRun();
  if (own === undefined) return;
  const { workflowType, workflowId, runId, runStartTime, typedSearchAttributes: found } = workflowInfo();
  const { service, mode, outcome } = searchAttributes;
  const attributes = {
    [ATTRIBUTES.runbook]: workflowType,
    [ATTRIBUTES.service]: found.get(service),
    [ATTRIBUTES.mode]: found.get(mode),
    [ATTRIBUTES.outcome]: found.get(outcome),
    [ATTRIBUTES.workflowId]: workflowId,
    [ATTRIBUTES.runId]: runId,
    [ATTRIBUTES.errorType]: error instanceof ApplicationFailure ? error.type : undefined,
  };
  sinks.trace.ended({
    ...own,
    ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
    name: `RunWorkflow:${workflowType}`,
    startMs: runStartTime.getTime(),
    endMs: Date.now(),
    attributes: Object.fromEntries(
      Object.entries(attributes).filter((one): one is [string, string] => typeof one[1] === 'string'),
    ),
    failed: error instanceof ApplicationFailure,
  });
}

/** A UUID is as long as the ID of a trace. */
const hexOf = (uuid: string): string => uuid.replaceAll('-', '').toLowerCase();
