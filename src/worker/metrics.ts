import type { PrometheusMetricsExporter } from '@temporalio/worker';
import { request } from 'undici';
import { freePort } from '../host/guardian';

/** Where the SDK of this process serves its own metrics: it has one runtime, however many workers share it. */
let sdkAddress: string | undefined;

const READ_MS = 2_000;
/** From a run that finds nothing to do to one that waits for days. */
const RUN_SECONDS = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400];

/**
 * Options with which the SDK exports its metrics, the runs that ended among them, on a free port of the loopback
 * address. `readSdkMetrics` reads them from there, so that one scrape has everything. For one try of installing the
 * runtime: somebody else may take the port first.
 */
export async function sdkExporter(): Promise<PrometheusMetricsExporter> {
  sdkAddress = `127.0.0.1:${await freePort()}`;
  return {
    prometheus: {
      bindAddress: sdkAddress,
      useSecondsForDurations: true,
      histogramBucketOverrides: { runbooks_run_duration_seconds: RUN_SECONDS },
    },
  };
}

/** The SDK's metrics as Prometheus reads them; empty where it exports none or does not answer. */
export async function readSdkMetrics(): Promise<string> {
  if (sdkAddress === undefined) return '';
  try {
    const { statusCode, body } = await request(`http://${sdkAddress}/metrics`, {
      signal: AbortSignal.timeout(READ_MS),
    });
    const text = await body.text();
    return statusCode === 200 ? text : '';
  } catch {
    return '';
  }
}
