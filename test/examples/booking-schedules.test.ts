import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { scheduleSchema } from '../../src/config/schedule-schema';
import { timesOf } from '../../src/schedules/input';
import { nextStarts } from '../../src/schedules/times';

const file = join(__dirname, '../../examples/booking/runbooks.yaml');
const { schedules } = parse(readFileSync(file, 'utf8')) as { schedules: Record<string, unknown> };

it('what waits for people starts on a working day, four times a year', () => {
  const review = scheduleSchema.parse(schedules['quarterly-index-review']);
  const starts = nextStarts(timesOf(review), new Date('2026-12-01T00:00:00Z'), 20);
  expect(starts.map((at) => at.getUTCDay()).filter((day) => day === 0 || day === 6)).toEqual([]);
  const months = starts.map((at) => at.toISOString().slice(0, 7));
  expect(months.slice(0, 5)).toEqual(['2027-01', '2027-04', '2027-07', '2027-10', '2028-01']);
});
