import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { LoadedConfig } from './load';

export interface TemporalOptions {
  connection: ConnectionOptions & { address: string };
  namespace: string;
}

/** For people: where nobody answered, and what to do about it. */
export function unreachableText(address: string, reason: string): string {
  return `Temporal cannot be reached at ${address}: ${reason.split('\n')[0]}. Is it running there? Another address: temporal.address of the configuration, or TEMPORAL_ADDRESS. \`temporal server start-dev\` starts one on 127.0.0.1:7233; a stack of \`runbooks up\` is reached once the sample.env is read that it names.`;
}

/**
 * How to reach Temporal: the configuration file first, then Temporal's own environment configuration (address, namespace,
 * TLS, API key), then the local default.
 */
export function connectionOptions(config?: Pick<LoadedConfig, 'temporal'>): TemporalOptions {
  const { connectionOptions: fromEnvironment, namespace } = loadClientConnectConfig();
  const address = config?.temporal.address ?? fromEnvironment.address ?? '127.0.0.1:7233';
  return {
    connection: { ...fromEnvironment, address },
    namespace: config?.temporal.namespace ?? namespace ?? 'default',
  };
}
