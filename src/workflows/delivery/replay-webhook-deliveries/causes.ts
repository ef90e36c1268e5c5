import type { Delivery, Probe } from '../../../activities/delivery/webhooks';

/** Where the fault lies of which a failed delivery tells. */
export type Cause =
  | 'secret'
  | 'gone'
  | 'address'
  | 'dns'
  | 'resolver'
  | 'tls'
  | 'payload'
  | 'busy'
  | 'away'
  | 'receiver'
  | 'later'
  | 'unknown';

/** Deliveries to one endpoint that fail for one cause. */
export interface Fault {
  endpoint: string;
  target: string;
  cause: Cause;
  /** What was said last. */
  said: string;
  /** It takes test events, and still not these. */
  takesProbes?: boolean;
  count: number;
}

const TEXTS: [Cause, RegExp][] = [
  ['resolver', /EAI_AGAIN|temporary failure in name resolution/i],
  // Whoever hangs up has not shown a certificate.
  ['away', /before secure TLS connection|handshake time(d )?out/i],
  ['dns', /ENOTFOUND|EAI_NONAME|getaddrinfo|NXDOMAIN|name or service not known|no such host/i],
  [
    'tls',
    /\bTLS\b|\bSSL\b|certificate|CERT_|ERR_TLS|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|handshake|x509|ALTNAME/i,
  ],
  ['secret', /signature|hmac|unauthori[sz]ed|forbidden|invalid secret/i],
  [
    'away',
    /ECONN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EPIPE|UND_ERR|time[d ]*out|connection (refused|reset)|socket hang up/i,
  ],
];

/** By what the receiver answered; where it did not, by what the network said. */
export function causeOfFailure({ status, error }: Pick<Delivery, 'status' | 'error'>): Cause {
  const text = error ?? '';
  const code = status ?? statusIn(text);
  if (code !== null) return causeOfStatus(code);
  return TEXTS.find(([, pattern]) => pattern.test(text))?.[0] ?? 'unknown';
}

/** `HTTP 410 Gone`, `503 Service Unavailable`, `status code 404`. */
function statusIn(text: string): number | null {
  const found =
    /^([1-5]\d\d)(?=$|[:;,]| [A-Z])/.exec(text.trim()) ??
    /(?:HTTP(?:\/[\d.]+)? |status(?: code)?:? )([1-5]\d\d)\b/i.exec(text);
  return found === null ? null : Number(found[1]);
}

function causeOfStatus(status: number): Cause {
  if (status === 401 || status === 403) return 'secret';
  if (status === 410) return 'gone';
  if (status === 429) return 'busy';
  if (status === 408) return 'away';
  if (status === 404 || status === 405 || (status >= 300 && status < 400)) return 'address';
  if (status >= 400 && status < 500) return 'payload';
  return status >= 500 ? 'receiver' : 'unknown';
}

/** Sending again does not help before somebody has mended something. */
export function isLasting(cause: Cause): boolean {
  return !['resolver', 'busy', 'away', 'receiver', 'later', 'unknown'].includes(cause);
}

/** By endpoint and cause, the most frequent ones first. */
export function faultsOf(failed: Delivery[]): Fault[] {
  const faults = new Map<string, Fault>();
  for (const delivery of failed) {
    const { endpoint, target } = delivery;
    const cause = causeOfFailure(delivery);
    const key = `${endpoint} ${target} ${cause}`;
    const fault = faults.get(key) ?? { endpoint, target, cause, said: saidOf(delivery), count: 0 };
    faults.set(key, { ...fault, count: fault.count + 1 });
  }
  return [...faults.values()].sort((a, b) => b.count - a.count);
}

export function saidOf({ status, error }: Pick<Probe, 'status' | 'error'>): string {
  if (error !== null) return error;
  return status === null ? 'nobody says why' : `HTTP ${status}`;
}

/** What a person looks at, and mends. */
export function adviceFor({ cause, endpoint }: Fault, signatureHeader: string | null): string {
  const which = endpoint === '' ? 'this endpoint' : `endpoint ${endpoint}`;
  switch (cause) {
    case 'secret': {
      const header =
        signatureHeader === null ? 'the header of the signature' : `the header ${signatureHeader}`;
      return `the receiver does not accept the signature: compare the secret that the application has for ${which} with the receiver's, and look whether a proxy takes ${header} or changes the body`;
    }
    case 'gone':
      return `the receiver wants no more: ask whose it is, then correct the address of ${which} or switch it off`;
    case 'address':
      return `nothing takes it there: compare the address of ${which} with the one that the receiver names, with its path and without a redirect`;
    case 'dns':
      return `its host name is not known: correct the address of ${which}, or have its owner mend the DNS record`;
    case 'resolver':
      return `the application cannot resolve names at the moment: look at the DNS server that it asks, which concerns every endpoint`;
    case 'tls':
      return `its certificate is not accepted: have its owner renew it, with the intermediate ones, for exactly this host`;
    case 'payload':
      return `the receiver refuses what is sent: compare the event with what it expects, also its version and size`;
    case 'busy':
      return `the receiver wants fewer requests: ask its owner for a higher limit, or have the application send more slowly`;
    case 'away':
      return `nobody answers in time: ask its owner whether it is up, and look whether a firewall lets the application through`;
    case 'receiver':
      return `the receiver is in trouble: ask its owner, and look at its status page`;
    case 'later':
      return `the application tries again only later: look whether that is meant so`;
    case 'unknown':
      return `look at what was said, and at the logs of the application`;
  }
}
