/** How senders prove who they are. Every comparison takes the same time wherever the difference is. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { AlertAuthConfig } from '../config/alert-schema';
import { MissingSecret } from '../config/secrets';
import type { Delivery, Headers, Verified, VerifyOptions } from './sender';

type AuthOf<Kind extends AlertAuthConfig['kind']> = Extract<AlertAuthConfig, { kind: Kind }>;

const SHA256_HEX = /^[0-9a-f]{64}$/i;
/** A sender signs with one secret, during a rotation with two; nobody may make us compare thousands. */
const MAX_SIGNATURES = 10;

/** Bearer, basic, a secret in a header, or an HMAC as configured. Throws `MissingSecret`. */
export function authenticate(
  delivery: Delivery,
  auth: Exclude<AlertAuthConfig, AuthOf<'signature'>>,
  options: VerifyOptions,
): Verified {
  const { headers } = delivery;
  switch (auth.kind) {
    case 'bearer': {
      const token = /^Bearer +(.+)$/is.exec(headerOf(headers, 'authorization') ?? '')?.[1];
      return bySecret('Authorization: Bearer', bytesOf(token), resolveAll(auth.tokens, options));
    }
    case 'basic': {
      const encoded = /^Basic +(.+)$/is.exec(headerOf(headers, 'authorization') ?? '')?.[1];
      const passwords = resolveAll(auth.passwords, options);
      const expected = passwords.map((password) =>
        Buffer.from(`${auth.username}:${password}`).toString('base64'),
      );
      return bySecret('Authorization: Basic', bytesOf(encoded), expected);
    }
    case 'header': {
      const presented = bytesOf(headerOf(headers, auth.name));
      return bySecret(auth.name, presented, resolveAll(auth.values, options));
    }
    case 'hmac':
      return byHmac(delivery, auth, options);
  }
}

/** The `verify` of senders that always prove themselves in one of the ways above. */
export function verifyAsConfigured(
  delivery: Delivery,
  auth: AlertAuthConfig,
  options: VerifyOptions,
): Verified {
  return auth.kind === 'signature' ? wrongKind(auth) : authenticate(delivery, auth, options);
}

/** The `verify` of senders with a signature of their own. */
export function verifyOwnSignature(
  check: (delivery: Delivery, auth: AuthOf<'signature'>, options: VerifyOptions) => Verified,
) {
  return (delivery: Delivery, auth: AlertAuthConfig, options: VerifyOptions): Verified =>
    auth.kind === 'signature' ? check(delivery, auth, options) : wrongKind(auth);
}

function wrongKind(auth: AlertAuthConfig): Verified {
  return refuse(401, `this kind of source cannot be authenticated by ${auth.kind}: mend the configuration`);
}

function byHmac(delivery: Delivery, auth: AuthOf<'hmac'>, options: VerifyOptions): Verified {
  const header = headerOf(delivery.headers, auth.header);
  if (header === undefined) return refuse(401, `${auth.header} is missing`);
  const presented = header.startsWith(auth.prefix) ? [header.slice(auth.prefix.length)] : [];
  if (auth.timestampHeader === undefined) {
    return bySignature(delivery, { name: auth.header, presented, secrets: auth.secrets }, options);
  }
  const seconds = headerOf(delivery.headers, auth.timestampHeader);
  if (seconds === undefined) return refuse(401, `${auth.timestampHeader} is missing`);
  const time = { seconds, signedAs: `${seconds}:` };
  return bySignature(delivery, { name: auth.header, presented, secrets: auth.secrets, time }, options);
}

export interface Signature {
  /** Of the header, for messages. */
  name: string;
  /** Hex HMAC-SHA256 digests; one that is right is enough. */
  presented: string[];
  /** Not resolved yet. */
  secrets: string[];
  /** Where the time is signed too: Unix seconds, and what of it is signed before the body. */
  time?: { seconds: string; signedAs: string };
}

/** Checks an HMAC-SHA256 over the raw body. Throws `MissingSecret`. */
export function bySignature(
  { body, receivedAtMs }: Delivery,
  { name, presented, secrets, time }: Signature,
  options: VerifyOptions,
): Verified {
  const signed = time === undefined ? [body] : [Buffer.from(time.signedAs), body];
  const digests = presented
    .slice(0, MAX_SIGNATURES)
    .filter((hex) => SHA256_HEX.test(hex))
    .map((hex) => Buffer.from(hex, 'hex'));
  let matches = false;
  for (const secret of resolveAll(secrets, options)) {
    const mac = createHmac('sha256', secret);
    for (const part of signed) mac.update(part);
    const expected = mac.digest();
    for (const digest of digests) matches = timingSafeEqual(digest, expected) || matches;
  }
  if (!matches) return refuse(401, `${name} is wrong`);
  // Only now: what is not signed says nothing about time.
  if (time !== undefined) {
    if (!/^\d{1,12}$/.test(time.seconds)) return refuse(403, `the signed time of ${name} is no Unix time`);
    const offMs = receivedAtMs - Number(time.seconds) * 1_000;
    if (Math.abs(offMs) > options.skewMs) {
      const off = `${Math.round(Math.abs(offMs) / 1_000)} s in the ${offMs > 0 ? 'past' : 'future'}`;
      return refuse(403, `the signed time of ${name} is ${off}`);
    }
  }
  return { ok: true, deliveryId: digestOf(signed) };
}

/** A header by its name in any case; undefined when it did not come or is empty. */
export function headerOf(headers: Headers, name: string): string | undefined {
  const lower = name.toLowerCase();
  const value: unknown = Object.hasOwn(headers, lower) ? headers[lower] : undefined;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function refuse(status: 401 | 403, why: string): Verified {
  return { ok: false, status, why };
}

function bySecret(name: string, presented: Buffer | undefined, expected: string[]): Verified {
  if (presented === undefined) return refuse(401, `${name} is missing or unreadable`);
  // Digests have one length whatever the secrets have, so nothing is learnt about that either.
  const digest = sha256(presented);
  let matches = false;
  for (const secret of expected) matches = timingSafeEqual(digest, sha256(Buffer.from(secret))) || matches;
  return matches ? { ok: true, deliveryId: null } : refuse(401, `${name} is wrong`);
}

/** Node hands the bytes of a header over as Latin-1. */
function bytesOf(header: string | undefined): Buffer | undefined {
  // A character beyond it came from nowhere, and would be cut to a byte that may be right.
  return header === undefined || /[^\0-\xff]/.test(header) ? undefined : Buffer.from(header, 'latin1');
}

function resolveAll(secrets: string[], { resolve }: VerifyOptions): string[] {
  return secrets.map((text) => {
    const secret = resolve(text);
    // An empty file would otherwise let everybody in who sends nothing, or signs with nothing.
    if (secret === '') throw new MissingSecret(text, 'it is empty');
    return secret;
  });
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function digestOf(parts: Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('base64url');
}
