import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { loadProject } from '../../src/check/load-project';
import { checkSchedules } from '../../src/check/schedules';
import { backup, configWith } from '../schedules/support';

const problemsOf = (more: Record<string, unknown>) => checkSchedules(configWith({ nightly: backup(more) }));

it('a schedule that is right has no problem, also under four eyes: who starts it is the schedule', () => {
  expect(problemsOf({})).toEqual([]);
  expect(problemsOf({ cron: ['0 4 * * *', '0 16 * * SAT,SUN'], mode: 'auto' })).toEqual([]);
});

it.each([
  [{ runbook: 'backUpDatabse' }, /^schedules\.nightly\.runbook: .*"backUpDatabse"; known: .*backUpDatabase/],
  [{ input: {} }, /^schedules\.nightly\.input\.service: /],
  [
    { input: { service: 'bakery' } },
    /^schedules\.nightly\.input\.service: got "bakery", wanted one of: shop/,
  ],
  [
    { input: { service: 'shop', environment: 'moon' } },
    /^schedules\.nightly\.input\.environment: got "moon", wanted one of: production/,
  ],
  [
    { input: { service: 'shop', files: ['x'] } },
    /^schedules\.nightly\.input\.files: got a field that backUpDatabase does not have/,
  ],
  [
    { runbook: 'drillRestore', input: { service: 'shop', windowDays: -1 } },
    /^schedules\.nightly\.input\.windowDays: /,
  ],
  [{ input: { service: 'shop', mode: 'auto' } }, /^schedules\.nightly\.input\.mode: stands beside the input/],
  [
    { input: { service: 'shop', startedBy: 'ana' } },
    /^schedules\.nightly\.input\.startedBy: is the schedule/,
  ],
  [{ cron: '15 4 * *' }, /^schedules\.nightly\.cron: .* has 4 fields, wanted five/],
  [{ cron: '0 15 4 * * *' }, /^schedules\.nightly\.cron: .* has 6 fields/],
  [{ cron: '@daily' }, /^schedules\.nightly\.cron: /],
  [
    { cron: ['15 4 * * *', '61 4 * * *'] },
    /^schedules\.nightly\.cron\.1: minute "61": out of range; wanted 0-59/,
  ],
  [{ cron: '0 0 31 2 *' }, /^schedules\.nightly\.cron: .* never comes/],
  [{ timeZone: 'Europe/Berln' }, /^schedules\.nightly\.timeZone: unknown time zone "Europe\/Berln"/],
  [{ timeZone: 'europe/berlin' }, /^schedules\.nightly\.timeZone: .*write Europe\/Berlin/],
  [{ timeZone: '+01:00' }, /^schedules\.nightly\.timeZone: .*is an offset/],
])('%j is a problem, named with its path', (more, words) => {
  const problems = problemsOf(more);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(words);
});

it('every problem of every schedule is reported at once when the configuration is loaded', () => {
  const folder = mkdtempSync(join(tmpdir(), 'schedules-'));
  const file = join(folder, 'runbooks.yaml');
  const { services } = configWith({});
  const schedules = { a: backup({ cron: 'x', timeZone: 'Y' }), b: backup({ runbook: 'none' }) };
  writeFileSync(file, stringify({ services, schedules }));
  try {
    expect(() => loadProject(file)).toThrow(
      /3 problems:[^]*schedules\.a\.timeZone[^]*schedules\.a\.cron[^]*schedules\.b\.runbook/,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
