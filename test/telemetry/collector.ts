import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type * as protobuf from 'protobufjs';

/** A span as a collector has it. */
export interface Span {
  name: string;
  traceId: string;
  spanId: string;
  /** Empty where it has none. */
  parentSpanId: string;
  failed: boolean;
  attributes: Record<string, string>;
}

export interface Collector {
  url: string;
  /** What has come since it was last asked. */
  take(): Span[];
  /** Everything that ever came, as it came. */
  bytes(): Buffer;
  /** Requests without the right key. */
  refused(): number;
  stop(): Promise<void>;
}

/** What OpenTelemetry itself generates of its protocol; its package shows only what exports. */
const generated = join(
  require.resolve('@opentelemetry/otlp-transformer/package.json'),
  '../build/src/generated/root',
);
const ERROR = 2;

interface Decoded {
  resourceSpans: { scopeSpans: { spans: DecodedSpan[] }[] }[];
}
interface DecodedSpan {
  name: string;
  traceId: Uint8Array;
  spanId: Uint8Array;
  parentSpanId: Uint8Array | null;
  attributes: { key: string; value: { stringValue?: string } }[];
  status?: { code: number };
}

/** Takes OTLP over HTTP as protobuf, from whoever has the key. */
export async function startCollector(authorization: string): Promise<Collector> {
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types of its own
  const { opentelemetry } = require(generated) as {
    opentelemetry: {
      proto: { collector: { trace: { v1: { ExportTraceServiceRequest: protobuf.Type } } } };
    };
  };
  const { ExportTraceServiceRequest } = opentelemetry.proto.collector.trace.v1;
  const bodies: Buffer[] = [];
  let taken = 0;
  let refused = 0;
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (request.headers.authorization !== authorization) {
        refused += 1;
        response.writeHead(401).end();
        return;
      }
      const isRight =
        request.url === '/v1/traces' && request.headers['content-type'] === 'application/x-protobuf';
      if (isRight) bodies.push(Buffer.concat(parts));
      response.writeHead(isRight ? 200 : 404).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take: () => {
      const fresh = bodies.slice(taken);
      taken = bodies.length;
      return fresh
        .map((body) => ExportTraceServiceRequest.decode(body) as unknown as Decoded)
        .flatMap(({ resourceSpans }) => resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(spanOf)));
    },
    bytes: () => Buffer.concat(bodies),
    refused: () => refused,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const hex = (bytes: Uint8Array | null): string => Buffer.from(bytes ?? []).toString('hex');

const spanOf = ({ name, traceId, spanId, parentSpanId, attributes, status }: DecodedSpan): Span => ({
  name,
  ...{ traceId: hex(traceId), spanId: hex(spanId), parentSpanId: hex(parentSpanId) },
  failed: status?.code === ERROR,
  attributes: Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? ''])),
});
