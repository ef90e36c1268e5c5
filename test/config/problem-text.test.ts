import { z } from 'zod';
import { problemsOf, problemText, suggestion } from '../../src/config/problem-text';

const schema = z.strictObject({
  name: z.string().min(2).max(4),
  mode: z.enum(['observe', 'auto']).optional(),
  kind: z.literal('slack').optional(),
  count: z.number().int().min(3).max(9).optional(),
  more: z.number().gt(1).optional(),
  files: z.array(z.string()).min(2).optional(),
  either: z.union([z.string(), z.boolean()]).optional(),
  address: z.url().optional(),
  word: z.string().regex(/^a+$/).optional(),
  path: z.string().regex(/^a/, 'a path of ours').optional(),
  nested: z.record(z.string(), z.strictObject({ timeout: z.number().optional() })).default({}),
  way: z
    .discriminatedUnion('by', [
      z.strictObject({ by: z.literal('mail'), to: z.string() }),
      z.strictObject({ by: z.literal('chat'), channel: z.string() }),
    ])
    .optional(),
  band: z
    .object({ low: z.number(), high: z.number() })
    .refine(({ low, high }) => low < high, 'low must be below high')
    .optional(),
});

const wordsOn = (value: unknown): string[] =>
  problemsOf(schema.safeParse(value).error?.issues ?? [], { value, schema, owner: 'greet' }).map((one) =>
    problemText(one, 'input'),
  );

it.each<[unknown, string]>([
  [5, 'input: got 5, wanted named fields'],
  [{}, 'name: got nothing, wanted text'],
  [{ name: 7 }, 'name: got 7, wanted text'],
  [{ name: 'x' }, 'name: got "x", wanted at least 2 characters'],
  [{ name: 'xxxxx' }, 'name: got "xxxxx", wanted at most 4 characters'],
  [{ mode: 'Auto' }, 'mode: got "Auto", wanted one of: observe, auto; did you mean "auto"?'],
  [{ mode: 'never' }, 'mode: got "never", wanted one of: observe, auto'],
  [{ mode: 3 }, 'mode: got 3, wanted one of: observe, auto'],
  [{ kind: 'slak' }, 'kind: got "slak", wanted "slack"'],
  [{ count: 2.5 }, 'count: got 2.5, wanted a whole number'],
  [{ count: 2 }, 'count: got 2, wanted at least 3'],
  [{ more: 1 }, 'more: got 1, wanted more than 1'],
  [{ files: 'a' }, 'files: got "a", wanted a list'],
  [{ files: ['a'] }, 'files: got ["a"], wanted at least 2 items'],
  [{ files: ['a', 1] }, 'files.1: got 1, wanted text'],
  [{ either: 1 }, 'either: got 1, wanted text, or true or false'],
  [{ address: 'here' }, 'address: got "here", wanted a valid url'],
  [{ word: 'b' }, 'word: got "b", wanted text like /^a+$/'],
  [{ path: 'b' }, 'path: got "b", wanted a path of ours'],
  [{ way: { by: 'post' } }, 'way.by: got "post", wanted one of: mail, chat'],
  [{ band: { low: 2, high: 1 } }, 'band: low must be below high'],
])('%j: %s', (given, words) => {
  const name = typeof given === 'object' && !words.startsWith('name') ? { name: 'abc' } : {};
  expect(wordsOn(typeof given === 'object' ? { ...name, ...given } : given)).toEqual([words]);
});

it('names each unknown field with those that there are, and the nearest', () => {
  const words = wordsOn({
    name: 'abc',
    fils: [],
    zzz: 1,
    nested: { any: { timeuot: 1 } },
    way: { by: 'chat', chanel: 'x', channel: 'y' },
  });
  expect(words).toHaveLength(4);
  expect(words).toContainEqual(
    expect.stringMatching(
      /^fils: got a field that greet does not have, wanted one of: name, .*; did you mean "files"\?$/,
    ),
  );
  expect(words).toContainEqual(expect.stringMatching(/^zzz: got a field that greet does not have, .*band$/));
  expect(words).toContainEqual(
    'nested.any.timeuot: got a field that greet does not have, wanted one of: timeout; did you mean "timeout"?',
  );
  expect(words).toContainEqual(expect.stringMatching(/^way\.chanel: .* did you mean "channel"\?$/));
});

it('suggests only what is near', () => {
  const known = ['production', 'staging', 'x'];
  expect(suggestion('prodution', known)).toBe('; did you mean "production"?');
  expect(suggestion('STAGING', known)).toBe('; did you mean "staging"?');
  expect(suggestion('moon', known)).toBe('');
  expect(suggestion('anything', [])).toBe('');
});
