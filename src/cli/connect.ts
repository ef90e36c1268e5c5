import { Client, Connection } from '@temporalio/client';
import type { LoadedConfig } from '../config/load';
import { temporalOptions, unreachableText, type TemporalConfig } from '../config/temporal';
import type { Tracing } from '../telemetry/start-tracing';
import { CliError, EXIT } from './errors';

export interface Temporal {
  client: Client;
  namespace: string;
  address: string;
  taskQueue: string;
  /** Base address of the Temporal UI, undefined where it is not known. */
  uiUrl: string | undefined;
  /** Runs `body` with a deadline for every call in it. */
  within<T>(timeoutMs: number, body: () => Promise<T>): Promise<T>;
}

const CONNECT_TIMEOUT_MS = 5_000;

/** Connects, runs `body`, closes the connection and sends what `tracing` has seen. Throws CliError (unreachable). */
export async function withTemporal<T>(
  config: TemporalConfig | undefined,
  body: (temporal: Temporal) => Promise<T>,
  tracing?: Tracing,
): Promise<T> {
  const { connection: options, client: clientOptions } = temporalOptions(config);
  const { address } = options;
  const { namespace } = clientOptions;
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...options, connectTimeout: CONNECT_TIMEOUT_MS });
  } catch (error) {
    throw new CliError(
      EXIT.unreachable,
      unreachableText(address, (error as Error).message, Boolean(options.tls ?? options.apiKey)),
    );
  }
  try {
    const interceptors = { workflow: tracing?.client ?? [] };
    const client = new Client({ connection, ...clientOptions, interceptors });
    return await body({
      client,
      namespace,
      address,
      taskQueue: config?.temporal.taskQueue ?? 'runbooks',
      uiUrl: uiUrlOf(config, address),
      within: (timeoutMs, call) => connection.withDeadline(Date.now() + timeoutMs, call),
    });
  } finally {
    await Promise.all([connection.close(), tracing?.end()]);
  }
}

/** The configured UI; for a development server on this machine the port where it serves one by default. */
export function uiUrlOf(
  config: Pick<LoadedConfig, 'temporal'> | undefined,
  address: string,
): string | undefined {
  const configured = config?.temporal.uiUrl;
  if (configured !== undefined) return configured.replace(/\/+$/, '');
  const local = /^(127\.0\.0\.1|localhost):(\d+)$/.exec(address);
  return local === null ? undefined : `http://${local[1]}:${Number(local[2]) + 1_000}`;
}
