import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { startTemporal, type LocalTemporal } from '../../src/local/temporal';
import { backup, configWith } from '../schedules/support';
import { runCli, temporaryFolder, type CliResult } from './harness';

const folder = temporaryFolder();
const file = join(folder.path, 'runbooks.yaml');
let temporal: LocalTemporal;

const cli = (...args: string[]): Promise<CliResult> =>
  runCli(['--config', file, ...args], { cwd: folder.path });
const json = async <T>(...args: string[]): Promise<T> =>
  JSON.parse((await cli('--json', ...args)).stdout) as T;

function configure(schedules: Record<string, unknown>, address = temporal.address): void {
  const { services } = configWith({});
  writeFileSync(file, stringify({ temporal: { address }, services, schedules }));
}

beforeAll(async () => {
  temporal = await startTemporal({ directory: join(folder.path, 'temporal') });
});
afterAll(async () => {
  await temporal?.stop();
  folder.remove();
});

it('diff, apply and list: from a configuration to schedules that one can look at', async () => {
  configure({ nightly: backup({ note: 'before the day' }), hours: backup({ cron: '30 2 * * *' }) });
  const first = await cli('schedules', 'diff');
  expect(first.code).toBe(1);
  expect(first.stdout).toMatch(
    /\+ nightly[^]*cron: \["15 4 \* \* \*"\][^]*next: .* UTC \(.* 04:15 Europe\/Berlin\)/,
  );
  expect(first.stdout).toMatch(/\+ hours[^]*there is no 02:30 in Europe\/Berlin/);
  expect((await cli('schedules', 'list')).stdout).toMatch(/nightly .*not applied: runbooks schedules apply/);

  const applied = await cli('schedules', 'apply');
  expect(applied).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\+ nightly[^]*Applied: 2\./) as string,
  });
  const again = await cli('schedules', 'apply');
  expect(again).toMatchObject({ code: 0, stdout: expect.stringMatching(/Nothing to do\.\n$/) as string });

  const { stdout } = await cli('schedules', 'list');
  expect(stdout).toMatch(
    /nightly +backUpDatabase +\S+ \S+ UTC \(.* +never +active\n +04:15 Europe\/Berlin\)\n/,
  );
  const states = await json<{ id: string; nextAt: string; overdueSeconds: number }[]>('schedules', 'list');
  expect(states.map(({ id }) => id)).toEqual(['nightly', 'hours']);
  expect(Date.parse(states[0]!.nextAt)).toBeGreaterThan(Date.now());
});

it('a change is printed field by field; what is no longer configured goes only with --prune', async () => {
  configure({ nightly: backup({ note: 'before the day', cron: '15 5 * * *' }) });
  const { code, stdout } = await cli('schedules', 'diff');
  expect(code).toBe(1);
  expect(stdout).toMatch(/~ nightly\n {4}cron: \["15 4 \* \* \*"\] -> \["15 5 \* \* \*"\]\n/);
  expect(stdout).toContain('hours: no longer configured; stays unless --prune is given');
  expect((await cli('schedules', 'apply')).code).toBe(0);
  // Without --prune nothing would be done.
  expect((await cli('schedules', 'diff')).code).toBe(0);
  expect((await cli('schedules', 'diff', '--prune')).code).toBe(1);
  expect((await cli('schedules', 'apply', '--prune')).stdout).toMatch(/- hours[^]*Applied: 1\./);
});

it('pause and resume say who and why, and list shows it', async () => {
  const paused = await cli('schedules', 'pause', 'nightly', '--reason', 'provider outage', '--by', 'ana');
  expect(paused).toMatchObject({ code: 0, stdout: 'Paused nightly.\n' });
  expect((await cli('schedules', 'list')).stdout).toMatch(/ paused 2[^]*by ana:[^]*provider[^]*outage/);
  expect((await cli('schedules', 'pause', 'nightly', '--reason', 'x')).stdout).toContain('paused already');
  expect((await cli('schedules', 'apply')).stdout).toMatch(
    /stays paused \(paused .* by ana: provider outage\)/,
  );
  const resumed = await cli('schedules', 'resume', 'nightly', '--reason', 'over', '--by', 'ana');
  expect(resumed.stdout).toBe('Resumed nightly.\n');
});

it('run starts one and says where to look; a second one is refused while it goes', async () => {
  const { workflowId, ui } = await json<{ workflowId: string; ui: string }>('schedules', 'run', 'nightly');
  expect(workflowId).toMatch(/^backUpDatabase\/shop\/schedule-nightly-/);
  expect(ui).toContain(encodeURIComponent(workflowId));
  const second = await cli('schedules', 'run', 'nightly');
  expect(second).toMatchObject({ code: 2, stdout: '' });
  expect(second.stderr).toContain('still runs');
  expect((await cli('schedules', 'list')).stdout).toMatch(/RUNNING .*\n +STATE +active/);
});

it('backfill names the runs that it makes up for', async () => {
  const range = ['--from', '2026-05-01T00:00Z', '--to', '2026-05-02T12:00Z'];
  const { code, stdout } = await cli('schedules', 'backfill', 'nightly', ...range);
  expect(code).toBe(0);
  expect(stdout).toBe(
    '2 runs of nightly, one after the other:\n  2026-05-01 03:15:00 UTC\n  2026-05-02 03:15:00 UTC\n',
  );
});

it.each([
  [['schedules', 'run', 'nothing'], 5, 'There is no schedule nothing on the server; configured are: nightly'],
  [['schedules', 'pause', 'nightly'], 2, '--reason'],
  [
    ['schedules', 'backfill', 'nightly', '--from', '2026-05-01', '--to', '2026-05-02T00:00Z'],
    2,
    '--from: got "2026-05-01", wanted a time with its zone',
  ],
  [
    ['schedules', 'backfill', 'nightly', '--from', '2026-01-01T00:00Z', '--to', '2026-05-02T00:00Z'],
    2,
    'more than 31; add --yes',
  ],
])('%j ends with %i and a message', async (args, exit, words) => {
  const { code, stdout, stderr } = await cli(...args);
  expect(stderr).toContain(words);
  expect(stderr).not.toMatch(/^\s+at /m);
  expect([code, stdout]).toEqual([exit, '']);
});

it('a schedule that cannot be is refused before Temporal is looked for', async () => {
  configure({ nightly: backup({ cron: '15 25 * * *' }) }, '127.0.0.1:1');
  const { code, stderr } = await cli('schedules', 'apply');
  expect([code, stderr]).toEqual([2, expect.stringContaining('schedules.nightly.cron: hour "25"')]);
});
