import type { LoadedConfig } from '../config/load';
import { traceTarget, type TelemetryConfig } from '../config/telemetry';
import type { Tracing } from './tracing';

export type { Tracing } from './tracing';

/**
 * Undefined while telemetry is off; nothing of OpenTelemetry is loaded then. `warn` is told when a collector is lost.
 * Throws MissingSecret.
 */
export async function startTracing(
  config: TelemetryConfig & Pick<LoadedConfig, 'services'>,
  warn: (text: string) => void,
): Promise<Tracing | undefined> {
  const target = traceTarget(config);
  if (target === undefined) return undefined;
  const { createTracing } = await import('./tracing.js');
  return createTracing(target, config.services, warn);
}
