import type { Asked, Connection } from '../../../activities/calendar/calendar';

/** Why a connection is not in sync. */
export type Cause =
  | 'expired'
  | 'disconnected'
  | 'token'
  | 'credentials'
  | 'address'
  | 'limit'
  | 'provider'
  | 'idle'
  | 'clock'
  | 'backlog'
  | 'unconfigured'
  | 'unknown';

export interface Fault {
  connection: Connection;
  cause: Cause;
  said: string;
}

const TEXTS: [Cause, RegExp][] = [
  ['limit', /\b429\b|rate.?limit|too many requests|quota/i],
  [
    'token',
    /invalid_grant|invalid_token|token[^.]{0,40}(expired|revoked|invalid)|unauthori[sz]ed|\b401\b|reauth|consent/i,
  ],
  ['provider', /\b5\d\d\b|time[d ]*out|unavailable|ECONN|ENOTFOUND|EAI_AGAIN|socket|network/i],
];

/** Only its owner can mend these. */
export function isForOwner({ cause }: Fault): boolean {
  return cause === 'expired' || cause === 'disconnected' || cause === 'token';
}

/** By what the application says of its last sync; undefined where it does not say. */
export function causeOfError(error: string | null): Cause | undefined {
  if (error === null) return undefined;
  return TEXTS.find(([, pattern]) => pattern.test(error))?.[0];
}

/** Of a request that the application did not take. */
export function causeOfRefusal({ status, again }: Asked): Cause {
  if (status === 401 || status === 403) return 'credentials';
  if (status === 429) return 'limit';
  if (status !== null && status >= 300 && status < 500 && status !== 408 && status !== 409) return 'address';
  return again ? 'provider' : 'unknown';
}

/** What is wrong after a sync was asked for; undefined where it is in sync, and synced since `before`. */
export function faultAfterSync(
  connection: Connection,
  before: string | null,
  asked: Asked,
): Fault | undefined {
  const { state, lastSync, error, trouble } = connection;
  if (state !== 'connected') return { connection, cause: state, said: error ?? `its state is ${state}` };
  if (trouble === 'future')
    return { connection, cause: 'clock', said: `its last sync is said to be at ${lastSync}` };
  const moved = lastSync !== null && (before === null || lastSync > before);
  if (moved && (trouble === null || trouble === 'backlog')) return undefined;
  if (!asked.ok) return { connection, cause: causeOfRefusal(asked), said: asked.detail };
  const cause = causeOfError(error);
  if (cause !== undefined) return { connection, cause, said: error! };
  const said = `the sync was taken (${asked.detail}), and the last one is still ${lastSync === null ? 'none' : `at ${lastSync}`}`;
  return {
    connection,
    cause: error === null ? 'idle' : 'unknown',
    said: error === null ? said : `${error}; ${said}`,
  };
}

/** What a person looks at, and mends. */
export function adviceFor({ cause, connection: { provider } }: Fault): string {
  switch (cause) {
    case 'expired':
    case 'disconnected':
    case 'token':
      return 'its owner reconnects it';
    case 'credentials':
      return `correct the credentials of calendar.providers.${provider}.sync, or give them the right to sync`;
    case 'address':
      return `correct calendar.providers.${provider}.sync`;
    case 'limit':
      return `${provider} wants fewer requests: wait, or ask for a higher quota`;
    case 'provider':
      return `the application, or ${provider} behind it, is in trouble: look at both and their status pages`;
    case 'idle':
      return 'look at the worker of the application that syncs calendars, and at its logs';
    case 'clock':
      return 'compare the clock of the application with ours';
    case 'backlog':
      return 'look at the worker of the application that writes back, and at its logs';
    case 'unconfigured':
      return 'add it, then start again';
    case 'unknown':
      return 'look at what was said, and at the logs of the application';
  }
}

export function faultText(fault: Fault): string {
  const { connection, cause, said } = fault;
  return `${nameOf(connection)}: ${cause} (${said}): ${adviceFor(fault)}`;
}

/** `google room-4` */
export function nameOf({ provider, id }: Connection): string {
  return id === provider ? provider : `${provider} ${id}`;
}
