import { constants, createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { claimProblem, parseToken, proveByKeys, proveBySecret } from '../../../src/activities/auth/token';
import type { Json } from '../../../src/activities/support/json';

const NOW = 1_800_000_000;
const problemOf = (claims: Record<string, Json>, more: object = {}) =>
  claimProblem(
    { algorithm: 'ES256', keyId: 'k', claims, signed: '', signature: Buffer.alloc(0) },
    { skewMs: 30_000, nowMs: NOW * 1_000, ...more },
  );
const fresh = { exp: NOW + 60, iat: NOW, iss: 'https://auth.example', aud: ['app', 'other'] };

it('nothing is wrong with a fresh token, also where clocks are a little apart', () => {
  expect(problemOf(fresh, { issuer: 'https://auth.example', audience: 'other' })).toBeUndefined();
  expect(problemOf({ exp: NOW - 29, iat: NOW - 60, nbf: NOW - 60 })).toBeUndefined();
  expect(problemOf({ exp: NOW + 600, iat: NOW + 29 })).toBeUndefined();
});

it.each<[string, Record<string, Json>, RegExp]>([
  ['never expires', { iat: NOW }, /never expires/],
  ['has a time that is a text', { exp: 'tomorrow' }, /a time that is no number of seconds/],
  ['has a time that no calendar has', { exp: 1e20 }, /a time that is no number of seconds/],
  ['has a time that is nothing', { exp: NOW + 60, nbf: null }, /a time that is no number of seconds/],
  ['has expired', { exp: NOW - 31 }, /expired 31 s ago/],
  ['is not valid yet', { exp: NOW + 600, nbf: NOW + 31 }, /valid only in 31 s/],
  ['is of the future', { exp: NOW + 600, iat: NOW + 31 }, /valid only in 31 s/],
  ['expires before it begins', { exp: NOW + 5, iat: NOW + 5 }, /expires before it was issued/],
])('a token that %s is no good one', (_, claims, problem) => {
  expect(problemOf(claims)).toMatch(problem);
});

it('one of another issuer, or for others, is no good one', () => {
  expect(problemOf(fresh, { issuer: 'https://other.example' })).toBe(
    'its "iss" is not https://other.example',
  );
  expect(problemOf(fresh, { audience: 'third' })).toBe('its "aud" is not third');
  expect(problemOf({ exp: NOW + 60 }, { issuer: 'https://auth.example' })).toMatch(/^its "iss"/);
});

describe('a signature', () => {
  const signedBy = (alg: string, sign: (text: string) => Buffer, more: object = {}) => {
    const part = (json: unknown) => Buffer.from(JSON.stringify(json)).toString('base64url');
    const text = `${part({ alg, kid: 'k', ...more })}.${part({ exp: 1 })}`;
    return parseToken(`${text}.${sign(text).toString('base64url')}`)!;
  };

  it('is proven by every kind of key, and by no other of its kind', () => {
    const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    const rsa = () => generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const edwards = () => generateKeyPairSync('ed25519');
    const [first, second, third, fourth] = [rsa(), rsa(), edwards(), edwards()];
    const keyOf = ({ publicKey }: { publicKey: KeyObject }, more: object = {}) =>
      ({ ...publicKey.export({ format: 'jwk' }), kid: 'k', ...more }) as Json;
    const rs = signedBy('RS256', (text) => sign('sha256', Buffer.from(text), first.privateKey));
    const ps = signedBy('PS256', (text) =>
      sign('sha256', Buffer.from(text), { key: first.privateKey, ...pss }),
    );
    const ed = signedBy('EdDSA', (text) => sign(null, Buffer.from(text), third.privateKey));
    const proves = (token: typeof rs, key: Json) => proveByKeys(token, [key], Date.now()).ok;
    expect([rs, ps].map((token) => proves(token, keyOf(first)))).toEqual([true, true]);
    expect([rs, ps].map((token) => proves(token, keyOf(second)))).toEqual([false, false]);
    expect([proves(ed, keyOf(third)), proves(ed, keyOf(fourth)), proves(ed, keyOf(first))]).toEqual([
      true,
      false,
      false,
    ]);
    expect(proves(rs, keyOf(first, { use: 'enc' }))).toBe(false);
    expect(proveByKeys(rs, [keyOf(first, { x5c: ['bm9uZQ=='] })], Date.now()).detail).toBe(
      'key k has a certificate that cannot be read',
    );
  });

  it('that anybody can make is proven by no key', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const pem = publicKey.export({ format: 'pem', type: 'spki' }) as string;
    const keys = [{ ...publicKey.export({ format: 'jwk' }), kid: 'k' } as Json];
    const none = signedBy('none', () => Buffer.from(''));
    const confused = signedBy('HS256', (text) => createHmac('sha256', pem).update(text).digest());
    expect([none, confused].map((token) => proveByKeys(token, keys, Date.now()).ok)).toEqual([false, false]);
    expect(proveBySecret(none, 's').ok).toBe(false);
  });

  it('is proven by a secret, and by no other', () => {
    const token = signedBy('HS256', (text) => createHmac('sha256', 'the secret').update(text).digest());
    expect([proveBySecret(token, 'the secret').ok, proveBySecret(token, 'another').ok]).toEqual([
      true,
      false,
    ]);
  });
});
