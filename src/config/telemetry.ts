import type { LoadedConfig } from './load';
import { resolveSecrets } from './secrets';

/** Where traces go. */
export interface TraceTarget {
  url: string;
  /** Those of OTEL_EXPORTER_OTLP_HEADERS come with them. */
  headers: Record<string, string>;
}

export type TelemetryConfig = Pick<LoadedConfig, 'directory' | 'telemetry'>;

/**
 * Where traces of runs are to be sent: the configuration first, then OpenTelemetry's own variables. Undefined where nobody
 * named a place, or OTEL_SDK_DISABLED is set. Throws MissingSecret.
 */
export function traceTarget({ telemetry, directory }: TelemetryConfig): TraceTarget | undefined {
  const { env } = process;
  if (env['OTEL_SDK_DISABLED']?.toLowerCase() === 'true') return undefined;
  if (telemetry !== undefined) {
    const { endpoint, headers } = telemetry.otlp;
    return {
      url: below(endpoint),
      headers: Object.fromEntries(
        Object.entries(headers).map(([name, text]) => [name, resolveSecrets(text, directory)]),
      ),
    };
  }
  if (env['OTEL_TRACES_EXPORTER'] === 'none') return undefined;
  const whole = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'];
  const base = env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  const url = whole ? whole : base ? below(base) : undefined;
  return url === undefined ? undefined : { url, headers: {} };
}

const below = (endpoint: string): string => `${endpoint.replace(/\/+$/, '')}/v1/traces`;
