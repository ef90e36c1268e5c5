import { canonicalCron, parseCron, valuesOf } from '../../src/schedules/cron';

it.each([
  ['*/15 4-6 * * *', 'minute', [0, 15, 30, 45]],
  ['*/15 4-6 * * *', 'hour', [4, 5, 6]],
  ['5-20/5 0 * * *', 'minute', [5, 10, 15, 20]],
  ['0 0 1,15 * *', 'dayOfMonth', [1, 15]],
  ['0 0 * jan-mar,Dec *', 'month', [1, 2, 3, 12]],
  ['0 0 * * MON-FRI', 'dayOfWeek', [1, 2, 3, 4, 5]],
  ['0 0 * * 7', 'dayOfWeek', [0]],
  ['0 0 * * 5-7', 'dayOfWeek', [0, 5, 6]],
] as const)('%s: %s is %j', (text, field, values) => {
  expect(valuesOf(parseCron(text)[field])).toEqual(values);
});

it.each([
  ['', 'five'],
  ['* * * * * *', 'five'],
  ['60 * * * *', 'minute "60": out of range'],
  ['* 24 * * *', 'hour "24"'],
  ['* * 0 * *', 'day of month "0"'],
  ['* * * 13 *', 'month "13"'],
  ['* * * * 8', 'day of week "8"'],
  ['* * * FOO *', 'JAN-DEC'],
  ['5/10 * * * *', 'a step needs * or a range'],
  ['*/0 * * * *', 'a step is at least 1'],
  ['20-10 * * * *', 'a range goes upwards'],
  ['* * * * FRI-MON', 'a range goes upwards'],
  ['* * L * *', 'out of range'],
  ['* * 15W * *', 'out of range'],
  ['* * * * 5#2', 'only *'],
  ['1,,2 * * * *', 'only *'],
  ['-5 * * * *', 'only *'],
  ['? * * * *', 'only *'],
])('%j is refused: %s', (text, words) => {
  expect(() => parseCron(text)).toThrow(words);
});

it('texts that mean the same have one canonical text', () => {
  const canonical = (text: string) => canonicalCron(parseCron(text));
  expect(canonical('0 5 * * MON')).toBe(canonical('0 5 1-31 1-12 1'));
  expect(canonical('0 0 * * 0')).toBe(canonical('0 0 * * 7'));
  expect(canonical('0-59/1 */1 * * 0-7')).toBe('* * * * *');
  expect(canonical('0 5 * * 1')).not.toBe(canonical('0 5 * * 2'));
});
