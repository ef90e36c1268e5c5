import type { ErrorRate } from '../../../../src/activities/application/symptoms';
import { judgeRate } from '../../../../src/workflows/database/migrate-database/error-rate';

const bad: ErrorRate = {
  ok: false,
  rate: 0.5,
  detail: 'error rate 50.0 %, objective 1.0 %',
  band: 'critical',
  windowMs: 60_000,
};
const good: ErrorRate = {
  ...bad,
  ok: true,
  rate: 0,
  detail: 'error rate 0.0 %, objective 1.0 %',
  band: 'objective',
};
const before = (ok: boolean) => ({ at: 1_000_000, ok, windowMs: 60_000 });

it.each([
  ['is held against the migration at once where it was good before', bad, true, 1, false],
  ['is not, while its window reaches back to when it was bad already', bad, false, 59_999, true],
  ['is, once its window begins after the migration did', bad, false, 60_000, false],
])('a bad error rate %s', (_, rate, wasGood, afterMs, ok) => {
  expect(judgeRate(rate, before(wasGood), 1_000_000 + afterMs).ok).toBe(ok);
});

it('what is not judged says why, and a good rate is a good one', () => {
  expect(judgeRate(bad, before(false), 1_000_001).detail).toBe(
    'error rate 50.0 %, objective 1.0 %, not judged yet: it was bad before the migration, and its window of 1 min 0 s reaches back to there',
  );
  expect(judgeRate(good, before(false), 1_000_001)).toBe(good);
});
