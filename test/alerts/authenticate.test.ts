import * as crypto from 'node:crypto';
import { authenticate, bySignature, headerOf } from '../../src/alerts/authenticate';
import { senders } from '../../src/alerts/senders';
import { alertSourceSchema } from '../../src/config/alert-schema';
import { delivery, OPTIONS, sign } from './senders/support';

jest.mock('node:crypto', () => {
  const actual = jest.requireActual<typeof crypto>('node:crypto');
  return { ...actual, timingSafeEqual: jest.fn(actual.timingSafeEqual) };
});
const compared = jest.mocked(crypto.timingSafeEqual);
beforeEach(() => compared.mockClear());

describe('comparing secrets', () => {
  it('compares with every secret, in constant time, wherever the right one stands', () => {
    const tokens = ['one', 'a-second-one', 'three'];
    for (const token of [...tokens, 'none-of-them']) {
      compared.mockClear();
      authenticate(delivery('{}', { authorization: `Bearer ${token}` }), { kind: 'bearer', tokens }, OPTIONS);
      expect(compared).toHaveBeenCalledTimes(3);
      for (const [one, other] of compared.mock.calls) {
        expect([one.byteLength, other.byteLength]).toEqual([32, 32]);
      }
    }
  });

  it('compares every signature with every secret, and no more than ten of them', () => {
    const received = delivery('{}');
    const check = (presented: string[]) =>
      bySignature(received, { name: 'X', presented, secrets: ['a', 'b'] }, OPTIONS);
    expect(check([sign('a', '{}'), sign('b', '{}'), sign('c', '{}')])).toMatchObject({ ok: true });
    expect(compared).toHaveBeenCalledTimes(6);
    compared.mockClear();
    expect(check(Array.from({ length: 500 }, () => sign('c', '{}')))).toMatchObject({ ok: false });
    expect(compared).toHaveBeenCalledTimes(20);
  });

  it('takes hex in capitals, and nothing that is no SHA-256', () => {
    const check = (presented: string) =>
      bySignature(delivery('{}'), { name: 'X', presented: [presented], secrets: ['a'] }, OPTIONS).ok;
    const right = sign('a', '{}');
    expect(check(right.toUpperCase())).toBe(true);
    expect(check(`${right}00`)).toBe(false);
    expect(check(`${right.slice(0, -1)}g`)).toBe(false);
    expect(check(` ${right}`)).toBe(false);
    expect(check('')).toBe(false);
  });

  it('reads secrets beyond ASCII as UTF-8, which Node hands over as Latin-1', () => {
    const onTheWire = (text: string) => Buffer.from(text).toString('latin1');
    const bearer = (token: string) =>
      authenticate(
        delivery('{}', { authorization: `Bearer ${token}` }),
        { kind: 'bearer', tokens: ['schlüssel'] },
        OPTIONS,
      ).ok;
    expect(bearer(onTheWire('schlüssel'))).toBe(true);
    expect(bearer('schlüssel')).toBe(false);
    const password = Buffer.from('monitor:schlüssel').toString('base64');
    expect(
      authenticate(
        delivery('{}', { authorization: `basic ${password}` }),
        { kind: 'basic', username: 'monitor', passwords: ['schlüssel'] },
        OPTIONS,
      ),
    ).toEqual({ ok: true, deliveryId: null });
  });

  it('refuses the right password under another name, and with the colon elsewhere', () => {
    const check = (text: string) =>
      authenticate(
        delivery('{}', { authorization: `Basic ${Buffer.from(text).toString('base64')}` }),
        { kind: 'basic', username: 'monitor', passwords: ['pass:word'] },
        OPTIONS,
      ).ok;
    expect(check('monitor:pass:word')).toBe(true);
    expect(check('admin:pass:word')).toBe(false);
    expect(check('monitorpass:word')).toBe(false);
    expect(check(':pass:word')).toBe(false);
    expect(check('pass:word')).toBe(false);
  });

  it('takes no other scheme for the one that was configured', () => {
    for (const authorization of [
      'token',
      'Bearer',
      'Bearer ',
      'Token token',
      'Basic token',
      'token Bearer token',
    ]) {
      const auth = { kind: 'bearer', tokens: ['token'] } as const;
      expect(
        authenticate(delivery('{}', { authorization }), { ...auth, tokens: ['token'] }, OPTIONS).ok,
      ).toBe(false);
    }
  });

  it('resolves secrets where it needs them, and never shows one', () => {
    const options = { ...OPTIONS, resolve: (text: string) => (text === '${env:TOKEN}' ? 'resolved' : text) };
    const verify = (token: string) =>
      authenticate(
        delivery('{}', { authorization: `Bearer ${token}` }),
        { kind: 'bearer', tokens: ['${env:TOKEN}'] },
        options,
      );
    expect(verify('resolved')).toMatchObject({ ok: true });
    expect(verify('${env:TOKEN}')).toEqual({ ok: false, status: 401, why: 'Authorization: Bearer is wrong' });
  });
});

describe('reading a header', () => {
  it('finds it by its name in any case, and nothing that every object inherits', () => {
    expect(headerOf({ 'x-key': 'a' }, 'X-Key')).toBe('a');
    expect(headerOf({ 'x-key': '' }, 'X-Key')).toBeUndefined();
    expect(headerOf({}, 'constructor')).toBeUndefined();
    expect(headerOf({ 'x-key': ['a'] as unknown as string }, 'x-key')).toBeUndefined();
  });
});

describe('the list of senders', () => {
  it('has every kind that can be configured', () => {
    const kinds = alertSourceSchema.options.map((option) => option.shape.kind.value);
    expect(Object.keys(senders).sort()).toEqual([...kinds].sort());
  });
});
