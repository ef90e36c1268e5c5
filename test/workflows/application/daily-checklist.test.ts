import type { ChecklistScope } from '../../../src/activities/application/checklist';
import type { CronStatus } from '../../../src/activities/application/crons';
import type { LogReview } from '../../../src/activities/observe/logs';
import { checklistSchema } from '../../../src/config/checklist-schema';
import type { ChecklistItem, Counters } from '../../../src/contract/checklist';
import type { Run } from '../../../src/workflows/kit';
import { applicationItems } from '../../../src/workflows/application/run-daily-checklist/application-items';
import { databaseItems } from '../../../src/workflows/application/run-daily-checklist/database-items';
import type { Item } from '../../../src/workflows/application/run-daily-checklist/item';
import { logItems } from '../../../src/workflows/application/run-daily-checklist/log-items';
import { detailsOf } from '../../../src/workflows/application/run-daily-checklist/show';
import { tell } from '../../../src/workflows/application/run-daily-checklist/tell';

const PLACE = { service: 'shop', environment: 'production' };
const SCOPE: ChecklistScope = {
  ...{ health: {}, errorRate: null, measures: [], crons: ['expire'], smoke: null, backups: false },
  logs: { errors: { warning: 0, critical: 50 }, watch: [], permittedMs: 0 },
  ...{ maxUtilisation: 0.8, longQuerySeconds: 60, slowMs: 500 },
  limits: checklistSchema.parse({}),
};
const YESTERDAY = '2026-01-19T08:30:00.000Z';

/** A run whose activities answer with these. */
const runOf = (answers: Record<string, unknown>) => {
  const acts = Object.fromEntries(
    Object.entries(answers).map(([name, answer]) => [name, () => Promise.resolve(answer)]),
  );
  return { step: (_: string, call: (act: object) => Promise<unknown>) => call(acts) } as unknown as Run;
};

describe('deadlocks', () => {
  const seen = (deadlocks: number, countedSince: string | null, before: Counters | null) => {
    const items = databaseItems(PLACE, SCOPE, before, { at: '2026-01-20T08:30:00.000Z' });
    const item = items.find(({ name }) => name === 'deadlocks')!;
    return item.read(runOf({ readDeadlocks: { deadlocks, countedSince } }));
  };

  it.each<[string, number, string | null, Counters | null, object]>([
    ['those of years call nobody', 40, '2024-01-01T00:00:00Z', null, { color: 'yellow' }],
    ['those since yesterday do', 51, null, { at: YESTERDAY, deadlocks: 40 }, { color: 'red' }],
    [
      'all are new where they were reset since, also where they are more again',
      ...([52, '2026-01-19T20:00:00Z', { at: YESTERDAY, deadlocks: 40 }] as const),
      { color: 'red', figure: '52 since 2026-01-19 20:00:00' },
    ],
    ['what was not counted yesterday is not new', 40, null, { at: YESTERDAY }, { color: 'yellow' }],
  ])('%s', async (_, deadlocks, countedSince, before, wanted) => {
    const found = await seen(deadlocks, countedSince, before);
    expect({ ...found, figure: found.figure.replace(/ UTC$/, '') }).toMatchObject(wanted);
  });
});

describe('the log', () => {
  const review = (given: Partial<LogReview>): LogReview => ({
    ...{ errors: 0, warnings: 0, topErrors: [], watched: [], cut: false },
    ...given,
  });

  it('is not green where only its end was read, and says what to do about that', async () => {
    const [item] = logItems(PLACE, SCOPE, YESTERDAY, { at: YESTERDAY }) as Item[];
    expect(await item!.read(runOf({ readLogs: review({ cut: true }) }))).toMatchObject({
      color: 'yellow',
      next: 'have the command of environments.production.observe.logs print warnings and errors only',
    });
    const [other] = logItems(PLACE, SCOPE, YESTERDAY, { at: YESTERDAY }) as Item[];
    expect(await other!.read(runOf({ readLogs: review({}) }))).toMatchObject({ color: 'green' });
  });

  it('counts as read only once it was', async () => {
    const counters: Counters = { at: '2026-01-20T08:30:00.000Z', logs: YESTERDAY };
    const [item] = logItems(PLACE, SCOPE, YESTERDAY, counters) as Item[];
    await expect(item!.read(runOf({}))).rejects.toThrow();
    expect(counters.logs).toBe(YESTERDAY);
    const [again] = logItems(PLACE, SCOPE, YESTERDAY, counters) as Item[];
    await again!.read(runOf({ readLogs: review({}) }));
    expect(counters.logs).toBe(counters.at);
  });
});

it.each<[CronStatus['schedule'], string]>([
  ['kept', 'green'],
  ['unknown', 'yellow'],
  ['lost', 'red'],
])('a job whose schedule is %s is %s, and says so', async (schedule, color) => {
  const item = applicationItems(PLACE, SCOPE).find(({ name }) => name === 'job expire') as Item;
  const scheduleDetail = 'what the platform says';
  const status = { ...{ stale: false, undone: 0, healsLazily: false }, ...{ schedule, scheduleDetail } };
  const seen = await item.read(runOf({ readCron: { ...status, detail: 'last run 1 min ago' } }));
  expect(seen.color).toBe(color);
  expect(seen.figure.includes(scheduleDetail)).toBe(schedule !== 'kept');
});

it('says of more sessions than are read that there are at least so many', async () => {
  const wait = { pid: 7, application: 'web', waitedMs: 40_000, query: 'UPDATE slots', blockers: [] };
  const item = databaseItems(PLACE, SCOPE, null, { at: YESTERDAY }).find(
    ({ name }) => name === 'lock waits',
  )!;
  const seen = async (count: number) =>
    (await item.read(runOf({ readLockWaits: Array.from({ length: count }, () => wait) }))).figure;
  expect(await seen(10)).toMatch(/^at least 10 sessions; web \(7\)/);
  expect(await seen(9)).toMatch(/^9 sessions; /);
});

describe('what is red', () => {
  const item = (name: string): ChecklistItem => ({ name, color: 'red', figure: 'bad', objective: 'good' });
  const telling = (launch: () => Promise<object>, told: string[]) => {
    const said: string[] = [];
    const announce = (text: string) => Promise.resolve(said.push(text) && told);
    const run = { id: 'w', policy: { mode: 'auto' }, fact: () => undefined, launch, announce };
    return { said, ended: tell(run as unknown as Run, PLACE, [item('backups')], 'ana') };
  };

  it('is told also where no incident can be opened, which fails the run', async () => {
    const { said, ended } = telling(() => Promise.reject(new Error('the server is full')), ['ops']);
    await expect(ended).rejects.toThrow('the server is full');
    expect(said).toEqual([
      expect.stringMatching(
        /1 red \(backups\); NO incident could be opened: the server is full\nbackups red/,
      ),
    ]);
  });

  it('says so where nobody could be told', async () => {
    const launched = () => Promise.resolve({ workflowId: 'respondToIncident/shop/x', isNew: true });
    expect(await telling(launched, []).ended).toMatch(/; NOBODY was told: no channel of `notify` took it$/);
    expect(await telling(launched, ['ops']).ended).toMatch(/opened the incident respondToIncident\/shop\/x$/);
  });

  it('fits into the page of the run, however much it is', () => {
    const items = Array.from({ length: 60 }, (_, count) => ({
      ...item(`watch ${count}`),
      figure: '| x'.repeat(900),
    }));
    const details = detailsOf([...items, { ...item('jobs'), color: 'green' }]);
    expect(encodeURIComponent(details).length).toBeLessThan(7_500);
    expect(details).toMatch(/- and 35 more: runbooks report\n- green: jobs$/);
  });
});
