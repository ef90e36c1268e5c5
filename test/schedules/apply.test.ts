import type { ScheduleDescription } from '@temporalio/client';
import { applySchedules } from '../../src/schedules/apply';
import { diffSchedules, type Difference } from '../../src/schedules/diff';
import { setPaused } from '../../src/schedules/operate';
import { startServer, until, type Server } from './server';
import { backup, configWith, type ScheduleConfigs } from './support';

let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

const diff = (config: ScheduleConfigs) => diffSchedules(server.client, config);
const whatOf = async (config: ScheduleConfigs, id: string) =>
  (await diff(config)).find((one) => one.id === id);
const apply = async (config: ScheduleConfigs, options = {}) => {
  await applySchedules(server.client, config, await diff(config), options);
};
const describeOne = (id: string) => server.client.schedule.getHandle(id).describe();
const fields = (difference: Difference | undefined) => difference?.changes.map(({ field }) => field).sort();
const by = (reason: string) => ({ reason, by: 'ana' });
/** Listing follows a little later. */
const listed = (config: ScheduleConfigs, id: string, what: string | undefined) =>
  until(
    () => whatOf(config, id),
    (found) => found?.what === what,
  );

it('apply makes what is configured, with every bound that keeps it safe', async () => {
  const config = configWith({
    full: backup({
      input: { service: 'shop', environment: 'production' },
      mode: 'auto',
      cron: ['15 4 * * *', '0 16 * * SUN'],
      jitterMinutes: 5,
      catchUpMinutes: 90,
      pauseOnFailure: true,
      note: 'before the day begins',
    }),
  });
  expect((await whatOf(config, 'full'))?.what).toBe('create');
  await apply(config);
  const { action, policies, spec, state, memo, info } = await describeOne('full');
  expect(action).toMatchObject({
    workflowType: 'backUpDatabase',
    workflowId: 'backUpDatabase/shop/schedule-full',
    taskQueue: 'runbooks',
    staticSummary: 'Back up a database: shop',
    args: [{ service: 'shop', environment: 'production', mode: 'auto', startedBy: 'schedule:full' }],
  });
  expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 90 * 60_000, pauseOnFailure: true });
  expect(spec).toMatchObject({ timezone: 'Europe/Berlin', jitter: 300_000 });
  expect(state).toMatchObject({ paused: false, note: 'before the day begins' });
  expect(memo).toEqual({ managedBy: 'durable-runbooks', taskQueue: 'runbooks' });
  expect(info.nextActionTimes.length).toBeGreaterThan(0);
});

it('applying again finds nothing to do, however the same times are written', async () => {
  const more = { input: { service: 'shop', environment: 'production' }, note: 'n' };
  await apply(configWith({ again: backup({ ...more, cron: '0 5 * * MON' }) }));
  for (const cron of ['0 5 * * MON', '0 5 * * 1', '0 5 1-31 */1 mon-mon']) {
    const input = { environment: 'production', service: 'shop' };
    expect((await whatOf(configWith({ again: backup({ ...more, input, cron }) }), 'again'))?.what).toBe(
      'same',
    );
  }
  const before = (await describeOne('again')).info.lastUpdatedAt;
  await apply(configWith({ again: backup({ ...more, cron: '0 5 * * 1' }) }));
  expect((await describeOne('again')).info.lastUpdatedAt).toEqual(before);
});

it('a change is shown field by field, and is what apply does', async () => {
  await apply(configWith({ changing: backup() }));
  const changed = configWith({
    changing: backup({
      cron: '15 5 * * *',
      timeZone: 'UTC',
      jitterMinutes: 1,
      catchUpMinutes: 61,
      pauseOnFailure: true,
      note: 'new',
      mode: 'observe',
    }),
  });
  const difference = await whatOf(changed, 'changing');
  expect(difference?.what).toBe('change');
  expect(fields(difference)).toEqual([
    'catchUpMinutes',
    'cron',
    'input.mode',
    'jitterMinutes',
    'note',
    'pauseOnFailure',
    'timeZone',
  ]);
  expect(difference?.changes).toContainEqual({ field: 'cron', is: ['15 4 * * *'], wanted: ['15 5 * * *'] });
  await apply(changed);
  expect((await whatOf(changed, 'changing'))?.what).toBe('same');
  expect((await describeOne('changing')).state.note).toBe('new');
});

const edit = (id: string, how: (was: ScheduleDescription) => object) =>
  server.client.schedule.getHandle(id).update((was) => ({ ...was, ...how(was) }));

it.each([
  [
    'spec',
    (was: ScheduleDescription) => ({ spec: { ...was.spec, intervals: [{ every: 3_600_000 }] } }),
    ['intervals'],
  ],
  [
    'spec',
    (was: ScheduleDescription) => ({
      spec: { ...was.spec, calendars: [{ hour: 7, comment: '15 4 * * *' }] },
    }),
    ['cron'],
  ],
  [
    'action',
    (was: ScheduleDescription) => ({ action: { ...was.action, args: [{ service: 'shop', mode: 'auto' }] } }),
    ['input.mode', 'input.startedBy'],
  ],
  [
    'policies',
    () => ({ policies: { overlap: 'ALLOW_ALL', catchupWindow: 31_536_000_000 } }),
    ['catchUpMinutes', 'overlap'],
  ],
] as const)('what somebody changed by hand in its %s is found and put right', async (_, how, expected) => {
  const config = configWith({ drift: backup() });
  await apply(config);
  await edit('drift', how);
  expect(fields(await whatOf(config, 'drift'))).toEqual(expected);
  await apply(config);
  expect((await whatOf(config, 'drift'))?.what).toBe('same');
});

it('what is no longer configured stays, and goes only with prune', async () => {
  await apply(configWith({ gone: backup() }));
  const without = configWith({});
  await listed(without, 'gone', 'remove');
  await apply(without);
  expect((await describeOne('gone')).scheduleId).toBe('gone');
  await apply(without, { prune: true });
  await expect(describeOne('gone')).rejects.toThrow(/not found/i);
});

it('schedules made by hand, and those of another task queue, are never touched, even with prune', async () => {
  await server.client.schedule.create({
    scheduleId: 'by-hand',
    spec: { intervals: [{ every: '30 days' }] },
    action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'runbooks' },
  });
  await apply(configWith({ elsewhere: backup() }, 'other-queue'));
  const config = configWith({});
  await listed(config, 'by-hand', 'unmanaged');
  await listed(config, 'elsewhere', 'unmanaged');
  await apply(config, { prune: true });
  expect((await describeOne('by-hand')).action.workflowType).toBe('x');
  expect((await describeOne('elsewhere')).action.taskQueue).toBe('other-queue');
});

it('a configured ID that is taken by one made by hand is refused before anything is changed', async () => {
  await server.client.schedule.create({
    scheduleId: 'mine',
    spec: { intervals: [{ every: '30 days' }] },
    action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'runbooks' },
  });
  const config = configWith({ 'before-it': backup(), mine: backup() });
  expect(await whatOf(config, 'mine')).toMatchObject({
    what: 'taken',
    remarks: [expect.stringMatching(/by hand/)],
  });
  await expect(apply(config)).rejects.toThrow(/Schedule mine was not applied: it was made by hand/);
  await expect(describeOne('before-it')).rejects.toThrow(/not found/i);
  expect((await describeOne('mine')).action.workflowType).toBe('x');
});

describe('a pause', () => {
  const config = configWith({ pausing: backup() });
  const later = configWith({ pausing: backup({ cron: '15 6 * * *', note: 'later' }) });

  it('by a person is kept, with its reason, when the rest is changed', async () => {
    await apply(config);
    expect(await setPaused(server.client, config, 'pausing', true, by('provider outage'))).toBe(true);
    const difference = await whatOf(later, 'pausing');
    expect(difference?.remarks).toContainEqual(
      expect.stringMatching(
        /stays paused \(paused .* UTC by ana: provider outage\); `runbooks schedules resume/,
      ),
    );
    await apply(later);
    const { state, spec } = await describeOne('pausing');
    expect(state).toMatchObject({ paused: true, note: expect.stringContaining('provider outage') as string });
    expect(spec.calendars?.[0]?.comment).toBe('15 6 * * *');
  });

  it('said twice keeps the first reason, and a resume says who and why', async () => {
    expect(await setPaused(server.client, config, 'pausing', true, by('another'))).toBe(false);
    expect((await describeOne('pausing')).state.note).toContain('provider outage');
    await setPaused(server.client, config, 'pausing', false, by('over'));
    expect((await describeOne('pausing')).state).toMatchObject({
      paused: false,
      note: expect.stringMatching(/^resumed .* by ana: over$/) as string,
    });
    expect((await whatOf(later, 'pausing'))?.what).toBe('same');
  });

  it('between reading and writing is not undone: nothing is written, and it is said', async () => {
    await apply(config);
    const read = await diff(later);
    await setPaused(server.client, config, 'pausing', true, by('just now'));
    await expect(applySchedules(server.client, later, read)).rejects.toThrow(
      /pausing was not applied: somebody changed, paused or resumed it.*apply` again/,
    );
    const { state, spec } = await describeOne('pausing');
    expect(state.paused).toBe(true);
    expect(spec.calendars?.[0]?.comment).toBe('15 4 * * *');
    await apply(later);
    expect((await describeOne('pausing')).state.paused).toBe(true);
  });

  it('in the configuration counts when it is made, and never stops one that runs', async () => {
    const paused = configWith({ asleep: backup({ paused: true }), pausing: backup({ paused: true }) });
    await setPaused(server.client, paused, 'pausing', false, by('over'));
    await apply(paused);
    expect((await describeOne('asleep')).state.paused).toBe(true);
    expect((await describeOne('pausing')).state.paused).toBe(false);
    expect((await whatOf(paused, 'pausing'))?.remarks).toContainEqual(
      expect.stringMatching(/counts only when it is created/),
    );
  });
});
