import { MAX_DEPTH, readJson } from '../../src/alerts/read-body';
import { BadAlert } from '../../src/alerts/sender';

const read = (body: string | Buffer, options?: Parameters<typeof readJson>[1]) =>
  readJson(Buffer.from(body as string), options);
const nested = (depth: number, inner = '') => '['.repeat(depth) + inner + ']'.repeat(depth);

describe('reading a body', () => {
  it('reads JSON of every shape, in UTF-8', () => {
    expect(read('{"name":"Grüße 🚨","n":[1,null,true]}')).toEqual({ name: 'Grüße 🚨', n: [1, null, true] });
    expect(read(' 7 ')).toBe(7);
    expect(read('\ufeff{}')).toEqual({});
  });

  it('lets arrays and objects nest as deep as is allowed, and no deeper', () => {
    expect(() => read(nested(MAX_DEPTH))).not.toThrow();
    expect(() => read(nested(MAX_DEPTH + 1))).toThrow('got more than 64 nested arrays and objects');
    expect(() => read('{"a":[{"b":1}]}', { maxDepth: 3 })).not.toThrow();
    expect(() => read('{"a":[{"b":{}}]}', { maxDepth: 3 })).toThrow(BadAlert);
    expect(() => read(nested(200_000))).toThrow(BadAlert);
  });

  it('counts only what nests: not brackets beside each other, and none in texts', () => {
    expect(() => read(`[${'[],{},'.repeat(1_000)}0]`, { maxDepth: 2 })).not.toThrow();
    const text = '[[[{{{"\\"[[[\\\\';
    expect(read(JSON.stringify([text]), { maxDepth: 1 })).toEqual([text]);
    expect(() => read(`["a\\"b", ${nested(5)}]`, { maxDepth: 5 })).toThrow(BadAlert);
    expect(() => read(`["a\\\\", ${nested(5)}]`, { maxDepth: 5 })).toThrow(BadAlert);
  });

  it.each([
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a surrogate', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['half a character', Buffer.from([0x22, 0xf0, 0x9f, 0x9a, 0x22])],
    ['Latin-1', Buffer.from('"é"', 'latin1')],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le').fill(0xff, 0, 1)],
  ])('refuses %s', (_, body) => {
    expect(() => read(body)).toThrow('body: got bytes that are no UTF-8');
  });

  it.each(['', '{', '{"a":1,}', 'payload=%7B%7D', '{"secret":"hunter2"', 'NaN', '[1]]', "{'a':1}"])(
    'refuses %j without quoting it',
    (body) => {
      expect(() => read(body)).toThrow(expect.objectContaining({ name: 'BadAlert', status: 400 }));
      expect(() => read(body)).not.toThrow(/hunter2|payload|NaN/);
    },
  );

  it('refuses what is larger than its caller allows', () => {
    expect(() => read('[1,2]', { maxBytes: 5 })).not.toThrow();
    expect(() => read('[1,2 ]', { maxBytes: 5 })).toThrow('body: got 6 bytes, wanted at most 5');
  });

  it('gives a name like __proto__ to no prototype', () => {
    const body = read('{"__proto__":{"polluted":1}}') as Record<string, unknown>;
    expect(body['polluted']).toBeUndefined();
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
