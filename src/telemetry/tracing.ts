import { context, propagation, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { detectResourcesSync, envDetectorSync, Resource, type IResource } from '@opentelemetry/resources';
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  SamplingDecision,
  type ReadableSpan,
  type Sampler,
} from '@opentelemetry/sdk-trace-base';
import type { WorkflowClientInterceptor, WorkflowStartInput } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import {
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryWorkflowClientInterceptor,
} from '@temporalio/interceptors-opentelemetry';
import type { ActivityInterceptorsFactory, InjectedSinks } from '@temporalio/worker';
import type { LoadedConfig } from '../config/load';
import type { TraceTarget } from '../config/telemetry';
import { VERSION } from '../config/version';
import { GUARD_TYPE } from '../contract/guard';
import { ATTRIBUTES, type EndedRun, type TraceSinks } from '../contract/trace';
import { within } from '../host/within';
import { createExporter } from './exporter';

const NAME = 'durable-runbooks';
const START = 'StartWorkflow:';
const START_OF_GUARD = `${START}${GUARD_TYPE}`;

/** What a client and a worker are given so that runs are traced. */
export interface Tracing {
  client: WorkflowClientInterceptor[];
  activity: ActivityInterceptorsFactory[];
  sinks: InjectedSinks<TraceSinks>;
  /** Sends what is left, for as long as a collector answers. */
  end(): Promise<void>;
}

/** At an end nobody waits longer for a collector. */
const END_MS = 2_000;

/** Of what has no trace to belong to only starts begin one: no polls, no questions, no guards. */
const onlyRuns: Sampler = {
  shouldSample: (parent, _, name) => {
    const flags = trace.getSpanContext(parent)?.traceFlags;
    const isWanted =
      flags === undefined
        ? name.startsWith(START) && name !== START_OF_GUARD
        : (flags & TraceFlags.SAMPLED) !== 0;
    return { decision: isWanted ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
  },
  toString: () => 'OnlyRuns',
};

/** Sends the traces of this process, from now on. */
export function createTracing(
  target: TraceTarget,
  services: LoadedConfig['services'],
  warn: (text: string) => void,
): Tracing {
  // Where an application that embeds a worker has its own, they stay.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const resource = new Resource({ 'service.name': NAME, 'service.version': VERSION }).merge(
    detectResourcesSync({ detectors: [envDetectorSync] }),
  );
  const processor = new BatchSpanProcessor(createExporter(target, warn));
  const provider = new BasicTracerProvider({ resource, sampler: onlyRuns, spanProcessors: [processor] });
  const tracer = provider.getTracer(NAME, VERSION);
  const serviceOf = (input: unknown): string | undefined => {
    const name = (input as { service?: unknown } | null | undefined)?.service;
    return typeof name === 'string' && Object.hasOwn(services, name) ? name : undefined;
  };
  return {
    client: [new OpenTelemetryWorkflowClientInterceptor({ tracer }), describeStarts(serviceOf)],
    activity: [
      (activity) => ({ inbound: new OpenTelemetryActivityInboundInterceptor(activity, { tracer }) }),
      describeSteps(serviceOf),
    ],
    sinks: { trace: { ended: { fn: (_, run) => processor.onEnd(spanOf(run, resource)) } } },
    end: () => within(provider.shutdown(), END_MS, () => undefined).catch(() => undefined),
  };
}

type ServiceOf = (input: unknown) => string | undefined;

function describeStarts(serviceOf: ServiceOf): WorkflowClientInterceptor {
  const describe = ({ workflowType, options }: WorkflowStartInput): void => {
    const [input] = options.args;
    setOnSpan({ [ATTRIBUTES.runbook]: workflowType, [ATTRIBUTES.service]: serviceOf(input) });
  };
  return {
    start(input, next) {
      describe(input);
      return next(input);
    },
    startWithDetails(input, next) {
      describe(input);
      return next(input);
    },
  };
}

/** Which run an activity is a step of, and as what it failed: the type, for the message may have anything in it. */
function describeSteps(serviceOf: ServiceOf): ActivityInterceptorsFactory {
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        setOnSpan({
          [ATTRIBUTES.runbook]: info.workflowType,
          [ATTRIBUTES.service]: serviceOf(input.args[0]),
          [ATTRIBUTES.attempt]: String(info.attempt),
        });
        try {
          return await next(input);
        } catch (error) {
          const type = error instanceof ApplicationFailure ? error.type : undefined;
          setOnSpan({ [ATTRIBUTES.errorType]: type ?? (error as Error).name });
          throw error;
        }
      },
    },
  });
}

function setOnSpan(attributes: Record<string, string | undefined>): void {
  const span = trace.getActiveSpan();
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) span?.setAttribute(name, value);
}

/** The span of a run is made where it ends, which may be days and workers after its beginning. */
function spanOf(run: EndedRun, resource: IResource): ReadableSpan {
  const { traceId, spanId, parentSpanId, name, startMs, endMs, attributes, failed } = run;
  return {
    name,
    kind: SpanKind.INTERNAL,
    spanContext: () => ({ traceId, spanId, traceFlags: TraceFlags.SAMPLED }),
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    startTime: hrTime(startMs),
    endTime: hrTime(endMs),
    duration: hrTime(endMs - startMs),
    status: { code: failed ? SpanStatusCode.ERROR : SpanStatusCode.OK },
    attributes,
    ...{ links: [], events: [], ended: true, resource },
    instrumentationLibrary: { name: NAME, version: VERSION },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}

const hrTime = (ms: number): [number, number] => [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)];
