import { databaseOf } from '../../../config/load';
import { resolveSecrets } from '../../../config/secrets';
import type { ActivityDeps } from '../../support/deps';
import { scratchMark } from './scratch-files';
import { fail } from '../../support/failure';
import { applicationName } from '../../support/heartbeat';
import { minimalEnvironment } from '../../support/subprocess';
import type { DatabaseRef } from '../../../contract/place';

/** Where a named database is. Holds the password: never put it into a result or a message. */
export interface Endpoint {
  url: string;
  /** For people: no secret in it. */
  label: string;
  database: string;
  identity: { systemIdentifier: string; database: string };
}

/** Parameters that libpq understands; those of ORMs (`schema`, `pgbouncer` ...) would make its tools fail. */
const LIBPQ_PARAMETERS = new Set(
  `host hostaddr port connect_timeout client_encoding options keepalives keepalives_idle keepalives_interval
   keepalives_count tcp_user_timeout gssencmode sslmode sslcert sslkey sslrootcert sslcrl sslsni sslpassword
   ssl_min_protocol_version channel_binding krbsrvname target_session_attrs`.split(/\s+/),
);

/**
 * Resolves a reference to its address. Throws InvalidInput (unknown service, missing secret, no URL)
 * and TargetNotOurs (no such disposable cluster here).
 */
export function endpointOf(deps: ActivityDeps, ref: DatabaseRef): Endpoint {
  if (ref.kind === 'scratch') {
    const mark = scratchMark(deps.config, ref.scratch);
    return finish(
      new URL(mark.url),
      ref.database,
      `disposable cluster ${ref.scratch}`,
      mark.systemIdentifier,
    );
  }
  const { url: text, identity } = databaseOf(deps.config, ref.service, ref.environment);
  const url = parseUrl(resolveSecrets(text, deps.config.directory), `${ref.service}/${ref.environment}`);
  const database = ref.database ?? decodeURIComponent(url.pathname.slice(1));
  const label = `${ref.service}/${ref.environment}`;
  const systemIdentifier = ref.systemIdentifier ?? identity.systemIdentifier;
  const endpoint = finish(url, database, label, systemIdentifier);
  return { ...endpoint, identity: { systemIdentifier, database: ref.database ?? identity.database } };
}

/** The same server, another database on it. */
export function onDatabase(endpoint: Endpoint, database: string): Endpoint {
  const url = new URL(endpoint.url);
  const label = endpoint.label.replace(/ \(database .*\)$/, '');
  return finish(url, database, label, endpoint.identity.systemIdentifier);
}

/** The same database, as a role that has the same password. */
export function asRole(endpoint: Endpoint, role: string): Endpoint {
  const url = new URL(endpoint.url);
  url.username = encodeURIComponent(role);
  return { ...endpoint, url: url.href, label: `${endpoint.label} as ${role}` };
}

/** The connection string for client tools without its password, and the environment that carries it. */
export function libpqOf(endpoint: Endpoint): { url: string; environment: Record<string, string> } {
  const url = new URL(endpoint.url);
  const environment: Record<string, string> = { ...minimalEnvironment(), PGAPPNAME: applicationName() };
  // In the environment and not among the arguments, which every user of the machine can read.
  if (url.password !== '') environment['PGPASSWORD'] = decodeURIComponent(url.password);
  url.password = '';
  for (const name of [...url.searchParams.keys()]) {
    if (!LIBPQ_PARAMETERS.has(name)) url.searchParams.delete(name);
  }
  if (!url.searchParams.has('connect_timeout')) url.searchParams.set('connect_timeout', '10');
  return { url: url.href, environment };
}

function finish(url: URL, database: string, label: string, systemIdentifier: string): Endpoint {
  url.pathname = `/${encodeURIComponent(database)}`;
  return {
    url: url.href,
    database,
    label: `${label} (database ${database})`,
    identity: { systemIdentifier, database },
  };
}

function parseUrl(text: string, where: string): URL {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw fail(
      'InvalidInput',
      `The database URL of ${where} is no URL. Write postgresql://user:password@host:5432/database.`,
    );
  }
  if (!/^postgres(ql)?:$/.test(url.protocol) || url.pathname.length < 2) {
    throw fail(
      'InvalidInput',
      `The database URL of ${where} must look like postgresql://user:password@host:5432/database.`,
    );
  }
  return url;
}
