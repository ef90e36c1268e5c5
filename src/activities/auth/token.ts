import {
  constants,
  createHmac,
  createPublicKey,
  timingSafeEqual,
  verify,
  X509Certificate,
  type JsonWebKey,
} from 'node:crypto';
import { valueAt, type Json } from '../support/json';

/** What a token says and how it is proven. Nothing of it goes into a history but a sentence about it. */
export interface Token {
  algorithm: string;
  keyId: string | undefined;
  claims: { [name: string]: Json };
  signed: string;
  signature: Buffer;
}

/** Undefined where it is no JWT. */
export function parseToken(text: string): Token | undefined {
  const [head, body, signature, ...more] = text.split('.');
  const header = objectOf(head);
  const claims = objectOf(body);
  if (header === undefined || claims === undefined || signature === undefined || more.length > 0)
    return undefined;
  const { alg, kid } = header;
  if (typeof alg !== 'string') return undefined;
  return {
    algorithm: alg,
    keyId: typeof kid === 'string' ? kid : undefined,
    claims,
    signed: `${head}.${body}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

function objectOf(part: string | undefined): { [name: string]: Json } | undefined {
  try {
    const json = JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8')) as Json;
    return json !== null && typeof json === 'object' && !Array.isArray(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/** What is wrong with its times and its claims at that moment; undefined where nothing is. */
export function claimProblem(
  { claims }: Token,
  {
    issuer,
    audience,
    skewMs,
    nowMs,
  }: { issuer?: string | undefined; audience?: string | undefined; skewMs: number; nowMs: number },
): string | undefined {
  const at = (name: string): number | undefined | 'unreadable' => {
    const value = claims[name];
    if (value === undefined) return undefined;
    return typeof value === 'number' && Math.abs(value) < 8.64e12 ? value * 1_000 : 'unreadable';
  };
  const [expires, begins, issued] = [at('exp'), at('nbf'), at('iat')];
  if ([expires, begins, issued].includes('unreadable'))
    return 'a fresh token has a time that is no number of seconds';
  if (expires === undefined) return 'a fresh token never expires: it has no "exp"';
  const seconds = (ms: number) => `${Math.round(Math.abs(ms) / 1_000)} s`;
  const left = (expires as number) - nowMs;
  if (left <= -skewMs) return `a fresh token expired ${seconds(left)} ago by our clock`;
  const early = Math.max(Number(begins ?? 0), Number(issued ?? 0)) - nowMs;
  if (early > skewMs) return `a fresh token is valid only in ${seconds(early)} by our clock`;
  if (issued !== undefined && (expires as number) <= (issued as number))
    return 'a fresh token expires before it was issued';
  if (issuer !== undefined && claims['iss'] !== issuer) return `its "iss" is not ${issuer}`;
  const audiences = [claims['aud']].flat();
  if (audience !== undefined && !audiences.includes(audience)) return `its "aud" is not ${audience}`;
  return undefined;
}

/** Whether a published key, or the secret, proves a token. */
export interface Proof {
  ok: boolean;
  detail: string;
}

/** Throws nothing: a key that cannot be read proves nothing. */
export function proveByKeys(token: Token, keys: Json[], nowMs: number): Proof {
  const { algorithm, keyId } = token;
  const family = FAMILIES[algorithm];
  if (family === undefined)
    return {
      ok: false,
      detail: `a token is signed by "${algorithm.slice(0, 20)}", which no published key proves`,
    };
  const fitting = keys.filter(
    (key) => valueAt(key, 'kty') === family.kty && [undefined, 'sig'].includes(wordAt(key, 'use')),
  );
  const named = fitting.filter((key) => wordAt(key, 'kid') === keyId);
  const known =
    keys
      .flatMap((key) => wordAt(key, 'kid') ?? [])
      .slice(0, 8)
      .join(', ') || 'none with an ID';
  if (keyId !== undefined && named.length === 0)
    return {
      ok: false,
      detail: `a fresh token is signed by key ${shown(keyId)}, which is not published; published: ${known}`,
    };
  if (keyId === undefined && fitting.length !== 1)
    return {
      ok: false,
      detail: `a fresh token names no key ("kid"), and ${fitting.length} published ones fit it`,
    };
  const [key] = keyId === undefined ? fitting : named;
  const over = expiryOf(key!, nowMs);
  const name = `key ${shown(keyId ?? wordAt(key!, 'kid') ?? 'without an ID')}`;
  if (over !== undefined) return { ok: false, detail: `${name} ${over}` };
  if (!isSignedBy(token, key!, family))
    return { ok: false, detail: `${name} is published, and does not prove the signature of a fresh token` };
  const unnamed = keyId === undefined ? '; it names no key, and the only one fits' : '';
  return { ok: true, detail: `${name} proves the signature${unnamed}` };
}

export function proveBySecret({ algorithm, signed, signature }: Token, secret: string): Proof {
  const [, bits] = /^HS(256|384|512)$/.exec(algorithm) ?? [];
  if (bits === undefined)
    return { ok: false, detail: `a token is signed by "${algorithm.slice(0, 20)}", and not with a secret` };
  const wanted = createHmac(`sha${bits}`, secret).update(signed).digest();
  const ok = wanted.length === signature.length && timingSafeEqual(wanted, signature);
  return {
    ok,
    detail: ok
      ? 'the secret proves the signature'
      : 'the configured secret does not prove the signature of a fresh token',
  };
}

interface Family {
  kty: string;
  hash: string | null;
  options?: object;
}

const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
const IEEE = { dsaEncoding: 'ieee-p1363' };
/** https://www.rfc-editor.org/rfc/rfc7518#section-3.1 and rfc8037 */
const FAMILIES: Record<string, Family | undefined> = {
  ...Object.fromEntries(
    ['256', '384', '512'].flatMap((bits): [string, Family][] => [
      [`RS${bits}`, { kty: 'RSA', hash: `sha${bits}` }],
      [`PS${bits}`, { kty: 'RSA', hash: `sha${bits}`, options: PSS }],
      [`ES${bits}`, { kty: 'EC', hash: `sha${bits}`, options: IEEE }],
    ]),
  ),
  EdDSA: { kty: 'OKP', hash: null },
};

function isSignedBy({ signed, signature }: Token, key: Json, { hash, options = {} }: Family): boolean {
  try {
    const publicKey = createPublicKey({ key: key as unknown as JsonWebKey, format: 'jwk' });
    return verify(hash, Buffer.from(signed), { key: publicKey, ...options }, signature);
  } catch {
    return false;
  }
}

/** Of a key that says until when it is used, itself or in its certificate. */
function expiryOf(key: Json, nowMs: number): string | undefined {
  const seconds = valueAt(key, 'exp');
  const certificate = valueAt(key, 'x5c.0');
  const ends =
    typeof seconds === 'number'
      ? seconds * 1_000
      : typeof certificate === 'string'
        ? endOf(certificate)
        : undefined;
  if (ends === undefined || ends > nowMs) return undefined;
  return Number.isNaN(ends)
    ? 'has a certificate that cannot be read'
    : `signs fresh tokens, and expired at ${new Date(ends).toISOString()}`;
}

function endOf(certificate: string): number {
  try {
    return Date.parse(new X509Certificate(Buffer.from(certificate, 'base64')).validTo);
  } catch {
    return Number.NaN;
  }
}

function wordAt(key: Json, name: string): string | undefined {
  const value = valueAt(key, name);
  return typeof value === 'string' ? value : undefined;
}

function shown(keyId: string): string {
  return keyId.slice(0, 60);
}
