import { ExportResultCode, type ExportResult } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { TraceTarget } from '../config/telemetry';
import { scrub } from '../config/secrets';
import { ATTRIBUTES } from '../contract/trace';

/** What else the SDK's interceptors say may have words of people in it, e.g. why somebody terminated a run. */
const KEPT = new Set<string>([...Object.values(ATTRIBUTES), 'temporalActivityId', 'temporalUpdateId']);
const TIMEOUT_MS = 5_000;

/**
 * Sends spans without anything that a person, a database or a provider wrote: messages of failures have statements and
 * values in them. Says once when a collector is lost, and once when it is back.
 */
export function createExporter({ url, headers }: TraceTarget, warn: (text: string) => void): SpanExporter {
  const exporter = new OTLPTraceExporter({ url, headers, timeoutMillis: TIMEOUT_MS });
  let isLost = false;
  return {
    export(spans, done) {
      exporter.export(spans.map(withoutWords), (result) => {
        const problem = problemOf(result);
        if (problem !== undefined && !isLost)
          warn(
            `traces cannot be sent to ${scrub(url)}: ${problem}. Runs go on, and what is not sent is lost`,
          );
        if (problem === undefined && isLost) warn(`traces are sent to ${scrub(url)} again`);
        isLost = problem !== undefined;
        done(result);
      });
    },
    forceFlush: async () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

/** Tries the collector with nothing to tell it. Resolves to what is wrong with it, in words. */
export async function tryCollector(target: TraceTarget): Promise<string | undefined> {
  const exporter = new OTLPTraceExporter({ ...target, timeoutMillis: TIMEOUT_MS });
  try {
    return problemOf(await new Promise<ExportResult>((resolve) => exporter.export([], resolve)));
  } finally {
    await exporter.shutdown();
  }
}

function problemOf({ code, error }: ExportResult): string | undefined {
  if (code === ExportResultCode.SUCCESS) return undefined;
  // Of HTTP it has a status, of a connection a reason; what a server answers may be a page.
  const status = (error as { code?: unknown } | undefined)?.code;
  const said = scrub((error?.message || 'no answer').split('\n')[0]!.slice(0, 200));
  return typeof status === 'number' ? `HTTP ${status} ${said}` : said;
}

function withoutWords(span: ReadableSpan): ReadableSpan {
  const attributes = Object.fromEntries(Object.entries(span.attributes).filter(([name]) => KEPT.has(name)));
  const changed = { attributes, events: [], status: { code: span.status.code } };
  // The rest of a span are getters of its class.
  return Object.create(
    span,
    Object.fromEntries(Object.entries(changed).map(([name, value]) => [name, { value, enumerable: true }])),
  ) as ReadableSpan;
}
