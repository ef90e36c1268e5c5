import { scheduleSchema } from '../../src/config/schedule-schema';
import { jitterMs } from '../../src/schedules/input';
import { overdueSeconds } from '../../src/schedules/read';
import { clockChanges, inZone, nextStarts } from '../../src/schedules/times';
import { backup, configWith } from './support';

const next = (cron: string | string[], timeZone: string, from: string, count = 3) =>
  nextStarts({ cron: [cron].flat(), timeZone }, new Date(from), count).map((at) =>
    at.toISOString().slice(0, 16),
  );

it('the next starts follow the clock of the zone, through summer and winter', () => {
  expect(next('0 5 * * MON', 'Europe/Berlin', '2026-10-18T00:00:00Z')).toEqual([
    '2026-10-19T03:00',
    '2026-10-26T04:00',
    '2026-11-02T04:00',
  ]);
  expect(next('0 12 * * *', 'Asia/Kathmandu', '2026-01-01T00:00:00Z', 1)).toEqual(['2026-01-01T06:15']);
});

it('several cron texts are one sequence, and the same time counts once', () => {
  expect(next(['0 6 * * *', '0 */6 * * *'], 'UTC', '2026-01-01T00:00:00Z')).toEqual([
    '2026-01-01T06:00',
    '2026-01-01T12:00',
    '2026-01-01T18:00',
  ]);
});

it('where both days are given both must match', () => {
  expect(next('0 0 1 * MON', 'UTC', '2026-11-21T00:00:00Z', 1)).toEqual(['2027-02-01T00:00']);
});

it('a time that the clock jumps over does not come, one that comes twice comes twice', () => {
  expect(next('30 2 * * *', 'Europe/Berlin', '2027-03-27T12:00:00Z', 1)).toEqual(['2027-03-29T00:30']);
  expect(next('30 2 * * *', 'Europe/Berlin', '2026-10-24T12:00:00Z', 2)).toEqual([
    '2026-10-25T00:30',
    '2026-10-25T01:30',
  ]);
});

it('the nights on which a time is missing or comes twice are named; others are not', () => {
  const from = new Date('2026-10-01T00:00:00Z');
  expect(clockChanges({ cron: ['30 2 * * *'], timeZone: 'Europe/Berlin' }, from)).toEqual([
    'on 2026-10-25 02:30 comes twice in Europe/Berlin: it may start twice',
    'on 2027-03-28 there is no 02:30 in Europe/Berlin: the clock is set forward, nothing starts',
  ]);
  for (const [cron, timeZone] of [
    ['0 5 * * *', 'Europe/Berlin'],
    ['30 2 * * *', 'UTC'],
    ['*/10 * * * *', 'Europe/Berlin'],
    ['30 2 * * MON', 'Europe/Berlin'],
  ] as const)
    expect(clockChanges({ cron: [cron], timeZone }, from)).toEqual([]);
});

it('times are shown on the clock of their zone', () => {
  expect(inZone(new Date('2026-11-23T04:00:00Z'), 'Europe/Berlin')).toBe('Mon 2026-11-23 05:00');
});

describe('a schedule is overdue', () => {
  const overdue = (
    more: Record<string, unknown>,
    lastStarted: string | undefined,
    now: string,
    updated?: string,
  ) =>
    overdueSeconds(
      configWith({ a: backup({ timeZone: 'UTC', ...more }) }).schedules['a']!,
      {
        lastStarted: lastStarted === undefined ? undefined : new Date(lastStarted),
        createdAt: new Date('2026-11-01T00:00:00Z'),
        ...(updated === undefined ? {} : { lastUpdatedAt: new Date(updated) }),
      },
      new Date(now),
    );

  it('from the second start on that did not come', () => {
    const last = '2026-11-10T04:15:00Z';
    expect(overdue({}, last, '2026-11-11T12:00:00Z')).toBe(0);
    expect(overdue({}, last, '2026-11-12T04:15:00Z')).toBe(0);
    expect(overdue({}, last, '2026-11-12T05:15:00Z')).toBe(3_600);
  });

  it('not over a weekend on which nothing is due, and not within its jitter', () => {
    const weekdays = { cron: '0 9 * * MON-FRI' };
    expect(overdue(weekdays, '2026-11-13T09:00:00Z', '2026-11-16T12:00:00Z')).toBe(0);
    expect(overdue(weekdays, '2026-11-13T09:00:00Z', '2026-11-17T10:00:00Z')).toBe(3_600);
    expect(overdue({ jitterMinutes: 60 }, '2026-11-10T04:15:00Z', '2026-11-12T05:15:00Z')).toBe(0);
  });

  it('from maxAgeHours on where that is given', () => {
    expect(overdue({ maxAgeHours: 26 }, '2026-11-10T04:00:00Z', '2026-11-11T06:00:00Z')).toBe(0);
    expect(overdue({ maxAgeHours: 26 }, '2026-11-10T04:00:00Z', '2026-11-11T06:00:10Z')).toBe(10);
  });

  it('also when it never started, counted from when it was made', () => {
    expect(overdue({}, undefined, '2026-11-01T12:00:00Z')).toBe(0);
    expect(overdue({}, undefined, '2026-11-02T04:16:00Z')).toBe(60);
  });

  it('by its new times only from when those were applied', () => {
    const last = '2026-11-02T04:15:00Z';
    expect(overdue({}, last, '2026-11-08T12:00:00Z', '2026-11-08T00:00:00Z')).toBe(0);
    expect(overdue({}, last, '2026-11-09T04:16:00Z', '2026-11-08T00:00:00Z')).toBe(60);
  });
});

describe('without jitterMinutes', () => {
  const jitterOf = (cron: string | string[]) =>
    jitterMs(scheduleSchema.parse({ runbook: 'backUpDatabase', input: {}, cron })) / 1_000;

  it.each([
    ['0 3 * * *', 300],
    ['0 * * * *', 300],
    ['*/15 * * * *', 90],
    ['* * * * *', 6],
    ['0 5 29 2 *', 300],
    [['0 3 * * *', '10 3 * * *'], 60],
  ])('%j starts within %i s of its time', (cron, seconds) => {
    expect(jitterOf(cron)).toBe(seconds);
  });
});
