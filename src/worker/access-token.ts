import { createPublicKey, verify, type JsonWebKey, type KeyObject } from 'node:crypto';
import { request } from 'undici';

export interface TokenIssuer {
  /** Address of its public keys. */
  jwks: string;
  issuer?: string | undefined;
  audience: string;
  /** Where a token says who its user is. */
  claim: string;
  users: readonly string[];
}

type PublicKey = JsonWebKey & { kid?: string; alg?: string };
interface Claims extends Record<string, unknown> {
  iss?: unknown;
  aud?: unknown;
  exp?: unknown;
  nbf?: unknown;
}

/** The signatures that we check (RFC 7518). `none` and shared secrets are not among them. */
const SIGNATURES: Readonly<Record<string, { kty: string; digest: string; dsaEncoding?: 'ieee-p1363' }>> = {
  RS256: { kty: 'RSA', digest: 'sha256' },
  RS512: { kty: 'RSA', digest: 'sha512' },
  ES256: { kty: 'EC', digest: 'sha256', dsaEncoding: 'ieee-p1363' },
};
const READ_MS = 5_000;
/** An unknown key may be a new one; somebody who makes them up must not have us ask all the time. */
const ASK_AGAIN_MS = 30_000;
const CLOCK_SKEW_SECONDS = 30;

/** Checks access tokens (RFC 7519): signature, issuer, audience, time and user. Any doubt is a no. */
export function createTokenCheck({
  jwks,
  issuer,
  audience,
  claim,
  users,
}: TokenIssuer): (token: string) => Promise<boolean> {
  let keys: PublicKey[] = [];
  let readAtMs = -Infinity;
  const keyOf = async (kid: string | undefined): Promise<PublicKey | undefined> => {
    const found = (): PublicKey | undefined => keys.find((key) => kid !== undefined && key.kid === kid);
    if (found() === undefined && Date.now() - readAtMs > ASK_AGAIN_MS) {
      readAtMs = Date.now();
      keys = await readKeys(jwks);
    }
    return found();
  };
  const mayPass = ({ iss, aud, exp, nbf, [claim]: user }: Claims, nowSeconds: number): boolean =>
    (issuer === undefined || iss === issuer) &&
    typeof user === 'string' &&
    users.includes(user) &&
    (Array.isArray(aud) ? aud.includes(audience) : aud === audience) &&
    typeof exp === 'number' &&
    exp > nowSeconds - CLOCK_SKEW_SECONDS &&
    (nbf === undefined || (typeof nbf === 'number' && nbf < nowSeconds + CLOCK_SKEW_SECONDS));

  return async (token) => {
    try {
      const [head, body, signature, ...more] = token.split('.');
      if (head === undefined || body === undefined || signature === undefined || more.length > 0)
        return false;
      const { alg = '', kid } = parse<{ alg?: string; kid?: string }>(head);
      const how = Object.hasOwn(SIGNATURES, alg) ? SIGNATURES[alg] : undefined;
      const key = how === undefined ? undefined : await keyOf(kid);
      // The key says what it is for; what the token claims about itself must fit.
      if (how === undefined || key?.kty !== how.kty || (key.alg ?? alg) !== alg) return false;
      const { digest, dsaEncoding } = how;
      const publicKey: KeyObject = createPublicKey({ key, format: 'jwk' });
      const signed = Buffer.from(`${head}.${body}`);
      const options = dsaEncoding === undefined ? publicKey : { key: publicKey, dsaEncoding };
      if (!verify(digest, signed, options, Buffer.from(signature, 'base64url'))) return false;
      return mayPass(parse<Claims>(body), Date.now() / 1_000);
    } catch {
      return false;
    }
  };
}

async function readKeys(jwks: string): Promise<PublicKey[]> {
  const { statusCode, body } = await request(jwks, { signal: AbortSignal.timeout(READ_MS) });
  const text = await body.text();
  if (statusCode !== 200) return [];
  const { keys } = JSON.parse(text) as { keys?: PublicKey[] };
  return Array.isArray(keys) ? keys : [];
}

const parse = <T>(part: string): T => JSON.parse(Buffer.from(part, 'base64url').toString()) as T;
