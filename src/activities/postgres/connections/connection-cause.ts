import { sqlStateOf } from '../../support/failure';

/** Why nobody gets a session that can be worked in. */
export type ConnectionCause =
  /** The URL is none. */
  | 'url'
  /** The name of the host does not exist. */
  | 'dns'
  /** Names cannot be resolved at the moment. */
  | 'resolver'
  /** Nothing listens there. */
  | 'refused'
  /** Nobody answers, or whoever does hangs up. */
  | 'unreachable'
  /** The provider has paused it. */
  | 'paused'
  /** It starts, stops, or recovers. */
  | 'starting'
  | 'too-many-connections'
  /** User or password. */
  | 'authentication'
  /** Not from this address, or not to this database: pg_hba.conf. */
  | 'not-admitted'
  /** One of both demands it, or the certificate is not accepted. */
  | 'tls'
  | 'database-missing'
  /** The database takes no sessions. */
  | 'closed'
  | 'other-database'
  /** A standby. */
  | 'in-recovery'
  | 'read-only'
  | 'unknown';

const SQL_STATES: Record<string, ConnectionCause> = {
  '28P01': 'authentication',
  '28000': 'authentication',
  '3D000': 'database-missing',
  '53300': 'too-many-connections',
  '55000': 'closed',
  '57P03': 'starting',
  '57P01': 'starting',
  '57P02': 'starting',
  '25006': 'read-only',
};

/** By what a server says, and else by what the network, the resolver or TLS say. The first that fits. */
const TEXTS: [ConnectionCause, RegExp][] = [
  ['url', /URI malformed/],
  ['not-admitted', /no pg_hba\.conf entry|pg_hba\.conf rejects/i],
  ['paused', /(project|compute|endpoint|database|server|instance)\b.{0,40}\b(paused|suspended|disabled)/i],
  [
    'too-many-connections',
    /too many (clients|connections)|remaining connection slots|no more connections|max[_ ]?client/i,
  ],
  ['authentication', /password authentication failed|no password supplied|SASL|client password must be/i],
  ['resolver', /EAI_AGAIN|temporary failure in name resolution/i],
  ['dns', /ENOTFOUND|EAI_NONAME|NXDOMAIN|name or service not known/i],
  // Also of a socket in a folder, which is there only while the server runs.
  ['refused', /ECONNREFUSED|connect ENOENT/],
  ['unreachable', /connect (EACCES|EPERM)/],
  [
    'tls',
    // Of files that are opened only those that a URL names as certificates are left.
    /ENOENT|EACCES|\bTLS\b|\bSSL\b|certificate|CERT_|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|ALTNAME|EPROTO|host does not match/i,
  ],
  [
    'unreachable',
    /ECONN|ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|EPIPE|time[d ]*out|timeout|connection terminated|server closed/i,
  ],
];

/** What an attempt to connect was refused for. */
export function connectionCauseOf(error: unknown): ConnectionCause {
  const state = sqlStateOf(error);
  const text = textOf(error);
  const said = TEXTS.find(([, pattern]) => pattern.test(text))?.[0];
  if (state === undefined) return said ?? 'unknown';
  // 28000 is also what pg_hba.conf says; providers have states of their own for what they paused.
  if (said === 'not-admitted' || said === 'paused') return said;
  return SQL_STATES[state] ?? said ?? 'unknown';
}

/** A server that knows no such entry for sessions without TLS may have one for those with it. */
export function wantsEncryption(error: unknown): boolean {
  return /pg_hba\.conf.*(no encryption|SSL off)/is.test(textOf(error));
}

/** An address with several answers fails with one error for each. */
export function textOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: string };
  const inner = error instanceof AggregateError ? error.errors.map(textOf) : [];
  const own = [message ?? '', ...inner].filter((text) => text !== '').join('; ');
  const named = typeof code === 'string' && !own.includes(code) ? `${code} ` : '';
  return `${named}${own === '' ? String(error) : own}`;
}
