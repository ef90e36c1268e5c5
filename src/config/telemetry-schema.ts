/** Where traces of runs are sent. */
import { z } from 'zod';
import { headerName } from './http-operation-schema';
import { secretText } from './primitives';

const otlpSchema = z.strictObject({
  endpoint: z
    .url({ protocol: /^https?$/, error: 'an address with http:// or https://, e.g. http://127.0.0.1:4318' })
    .describe('of an OpenTelemetry collector that takes OTLP over HTTP; `/v1/traces` is added to it'),
  headers: z.record(headerName, secretText).default({}).describe('sent along, e.g. for authentication'),
});

export const telemetrySchema = z
  .strictObject({ otlp: otlpSchema.describe('a collector of OpenTelemetry') })
  .describe(
    'traces of runs, for OpenTelemetry. Default: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT, else none',
  );
