import { claimProblem } from '../../../src/activities/auth/token';
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
