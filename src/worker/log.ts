import {
  DefaultLogger,
  makeTelemetryFilterString,
  Runtime,
  type LogLevel,
  type MetricsExporterConfig,
} from '@temporalio/worker';
import { scrub } from '../config/secrets';
import { printable } from '../contract/printable';

/** The worker of a host's own queue has none on purpose. */
const NO_NEWS = 'No workflows registered, not polling for workflow tasks';

/**
 * One line per entry, without stack traces and secrets: a run that ends as ROLLED_BACK is a result and no fault of the
 * worker. Must be called once, before the first connection is made; with `metrics`, the SDK exports its own there.
 */
export function logBriefly(level: LogLevel, metrics?: MetricsExporterConfig): void {
  const logger = new DefaultLogger(level, ({ level: severity, timestampNanos, message, meta }) => {
    if (message === NO_NEWS) return;
    const at = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
    const { workflowId, activityType, error } = (meta ?? {}) as {
      workflowId?: string;
      activityType?: string;
      error?: Error;
    };
    const about = [workflowId, activityType, error?.message].filter((part) => part !== undefined);
    console.error(printable(scrub([at, severity, message, ...about].join(' '))));
  });
  Runtime.install({
    logger,
    telemetryOptions: {
      logging: { forward: {}, filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }) },
      ...(metrics === undefined ? {} : { metrics }),
    },
  });
}
