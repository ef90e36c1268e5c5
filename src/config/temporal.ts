import type { ClientOptions, ConnectionOptions } from '@temporalio/client';
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { LoadedConfig } from './load';
import { createPayloadCodec } from './payload-codec';
import { resolveSecrets } from './secrets';

/** What every connection to Temporal and every client is made with, so that none of them forgets a part. */
export interface TemporalOptions {
  /** For `Connection` and `NativeConnection` alike. */
  connection: Omit<ConnectionOptions, 'apiKey'> & { address: string; apiKey?: string };
  /** For `Client`, and the same for a worker. */
  client: Required<Pick<ClientOptions, 'namespace'>> & { dataConverter?: DataConverter };
}

type Temporal = LoadedConfig['temporal'];

/** `directory` is what files of secrets are relative to; default: where the process is. */
export type TemporalConfig = Pick<LoadedConfig, 'temporal'> & Partial<Pick<LoadedConfig, 'directory'>>;

/** Where Temporal is and in which namespace, without a look at any secret. */
export function temporalPlace(config?: { temporal: Temporal }): { address: string; namespace: string } {
  const { connectionOptions: environment, namespace } = loadClientConnectConfig();
  return {
    address: config?.temporal.address ?? environment.address ?? '127.0.0.1:7233',
    namespace: config?.temporal.namespace ?? namespace ?? 'default',
  };
}

/** For people: where nobody answered, and what to do about it. */
export function unreachableText(address: string, reason: string, overTls = false): string {
  const tls = overTls ? ' It is asked over TLS: temporal.tls or TEMPORAL_TLS_* must fit the server.' : '';
  return `Temporal cannot be reached at ${address}: ${reason.split('\n')[0]}.${tls} Is it running there? Another address: temporal.address of the configuration, or TEMPORAL_ADDRESS. \`temporal server start-dev\` starts one on 127.0.0.1:7233; a stack of \`runbooks up\` is reached once the sample.env is read that it names.`;
}

/**
 * How to reach Temporal: the configuration file first, then Temporal's own environment configuration (address, namespace,
 * TLS, API key), then the local default. Throws MissingSecret, and CodecError for a codec key that is none.
 */
export function temporalOptions(config?: TemporalConfig): TemporalOptions {
  const { connectionOptions: environment } = loadClientConnectConfig();
  const { address, namespace } = temporalPlace(config);
  const { directory = '.', temporal } = config ?? {};
  const secret = (text: string): string => resolveSecrets(text, directory);
  const apiKey = temporal?.apiKey === undefined ? environment.apiKey : secret(temporal.apiKey);
  const tls = temporal?.tls === undefined ? environment.tls : tlsOf(temporal.tls, secret);
  return {
    connection: {
      ...environment,
      address,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(tls === undefined ? {} : { tls }),
    },
    client: {
      namespace,
      ...(temporal?.codec === undefined ? {} : { dataConverter: converterOf(temporal.codec, directory) }),
    },
  };
}

function tlsOf(
  tls: NonNullable<Temporal['tls']>,
  secret: (text: string) => string,
): ConnectionOptions['tls'] {
  if (typeof tls === 'boolean') return tls;
  const { serverName, ca, certificate, key } = tls;
  const pem = (text: string) => Buffer.from(`${secret(text)}\n`);
  return {
    ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
    ...(ca === undefined ? {} : { serverRootCACertificate: pem(ca) }),
    ...(certificate === undefined || key === undefined
      ? {}
      : { clientCertPair: { crt: pem(certificate), key: pem(key) } }),
  };
}

function converterOf(codec: NonNullable<Temporal['codec']>, directory: string): DataConverter {
  return {
    payloadCodecs: [createPayloadCodec(codec, directory)],
    failureConverterPath: require.resolve('./failure-converter'),
  };
}
