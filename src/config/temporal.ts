import type { ConnectionOptions } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { LoadedConfig } from './load';

export interface TemporalOptions {
  connection: ConnectionOptions & { address: string };
  namespace: string;
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
