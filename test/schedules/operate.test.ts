import { applySchedules } from '../../src/schedules/apply';
import { diffSchedules } from '../../src/schedules/diff';
import { backfillSchedule, matchingTimes, setPaused, triggerSchedule } from '../../src/schedules/operate';
import { readSchedules } from '../../src/schedules/read';
import { nextStarts } from '../../src/schedules/times';
import { startServer, until, type Server } from './server';
import { backup, configWith, type ScheduleConfigs } from './support';

// No worker listens: a run that a schedule starts goes on until the test ends it.
let server: Server;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server?.stop());

const apply = async (config: ScheduleConfigs) =>
  applySchedules(server.client, config, await diffSchedules(server.client, config));
const applied = async (id: string, more: Record<string, unknown> = {}) => {
  const config = configWith({ [id]: backup(more) });
  await apply(config);
  return config;
};
const infoOf = async (id: string) => (await server.client.schedule.getHandle(id).describe()).info;
const end = (workflowId: string) =>
  server.client.workflow.getHandle(workflowId).terminate('the test ends it');
const range = (from: string, to: string) => ({ from: new Date(from), to: new Date(to) });

describe('run', () => {
  it('starts one now, named after the schedule, and it knows what started it', async () => {
    const config = await applied('now');
    const { workflowId } = await triggerSchedule(server.client, config, 'now', 'ana');
    expect(workflowId).toMatch(/^backUpDatabase\/shop\/schedule-now-\d{4}-\d\d-\d\dT/);
    const { searchAttributes, staticSummary } = await server.client.workflow.getHandle(workflowId).describe();
    expect(searchAttributes['TemporalScheduledById']).toEqual(['now']);
    expect(await staticSummary()).toBe('Back up a database: shop');
    // Whoever triggers it is no second person for it.
    const { events } = await server.client.workflow.getHandle(workflowId).fetchHistory();
    const told = events?.map((event) => event.workflowExecutionSignaledEventAttributes).find(Boolean);
    expect([told?.signalName, told?.input?.payloads?.[0]?.data?.toString()]).toEqual([
      'triggered',
      '{"by":"ana"}',
    ]);
    await end(workflowId);
  });

  it('is refused while one is going, and the calendar starts no second one either', async () => {
    const config = await applied('busy');
    const { workflowId } = await triggerSchedule(server.client, config, 'busy', 'ana');
    await expect(triggerSchedule(server.client, config, 'busy', 'ana')).rejects.toThrow(
      `${workflowId} still runs`,
    );
    const handle = server.client.schedule.getHandle('busy');
    // Twice a second instead of once a day; everything else is as applied.
    await handle.update((was) => ({ ...was, spec: { intervals: [{ every: '1 second' }] } }));
    const info = await until(
      () => infoOf('busy'),
      ({ numActionsSkippedOverlap }) => numActionsSkippedOverlap >= 3,
    );
    expect(info.numActionsTaken).toBe(1);
    const [state] = await readSchedules(server.client, config);
    expect(state).toMatchObject({ lastOutcome: 'RUNNING', applied: true });
    expect(state?.skippedStarts).toBeGreaterThanOrEqual(3);
    await setPaused(server.client, config, 'busy', true, { by: 'ana', reason: 'enough' });
    await end(workflowId);
  });

  it('works on a paused schedule, which stays paused', async () => {
    const config = await applied('resting', { paused: true });
    const { workflowId } = await triggerSchedule(server.client, config, 'resting', 'ana');
    expect((await server.client.schedule.getHandle('resting').describe()).state.paused).toBe(true);
    await end(workflowId);
  });

  it('is refused for a schedule made by hand, and for one that is not there', async () => {
    const config = await applied('one');
    await server.client.schedule.create({
      scheduleId: 'by-hand',
      spec: { intervals: [{ every: '30 days' }] },
      action: { type: 'startWorkflow', workflowType: 'x', taskQueue: 'runbooks' },
    });
    const order = { by: 'ana', reason: 'no' };
    await expect(triggerSchedule(server.client, config, 'by-hand', 'ana')).rejects.toThrow(
      /not made from this/,
    );
    await expect(setPaused(server.client, config, 'by-hand', true, order)).rejects.toThrow(
      /not made from this/,
    );
    await expect(triggerSchedule(server.client, config, 'two', 'ana')).rejects.toThrow(
      /no schedule two .*configured are: one/,
    );
  });
});

describe('backfill', () => {
  it('makes up for each missed start, one run after the other', async () => {
    const config = await applied('missed', { cron: '0 4 * * *', timeZone: 'UTC' });
    const starts = await backfillSchedule(
      server.client,
      config,
      'missed',
      range('2026-05-01T04:00:00Z', '2026-05-03T04:00:00Z'),
    );
    expect(starts.map((at) => at.toISOString())).toEqual([
      '2026-05-01T04:00:00.000Z',
      '2026-05-02T04:00:00.000Z',
      '2026-05-03T04:00:00.000Z',
    ]);
    for (const day of ['01', '02', '03']) {
      const { runningActions } = await until(
        () => infoOf('missed'),
        (info) => info.runningActions[0]?.workflow.workflowId.includes(`2026-05-${day}`) === true,
      );
      expect(runningActions).toHaveLength(1);
      await end(runningActions[0]!.workflow.workflowId);
    }
    await until(
      () => infoOf('missed'),
      ({ runningActions }) => runningActions.length === 0,
    );
    expect((await infoOf('missed')).numActionsTaken).toBe(3);
  });

  it.each([
    ['* * * * *', range('2026-05-01T00:00:00Z', '2026-05-01T02:00:00Z'), /121 runs, more than 50; add --yes/],
    ['0 4 1 * *', range('2026-03-01T00:00:00Z', '2026-05-01T00:00:00Z'), /61 days, more than 31; add --yes/],
    ['0 4 * * *', range('2026-05-02T00:00:00Z', '2026-05-01T00:00:00Z'), /--to must be later/],
    ['0 4 * * *', range('2026-05-02T00:00:00Z', '2999-05-01T00:00:00Z'), /in the future/],
    ['0 4 * * *', range('2026-05-02T05:00:00Z', '2026-05-02T06:00:00Z'), /no start between/],
    [
      '* * * * *',
      { ...range('2026-05-01T00:00:00Z', '2026-05-03T00:00:00Z'), confirmed: true },
      /at least 1000 runs, more than 500; take a shorter/,
    ],
  ])('of %s over %j is refused and starts nothing', async (cron, asked, words) => {
    // One of every minute would start by itself meanwhile.
    const config = await applied('bounded', { cron, timeZone: 'UTC', paused: true });
    const before = (await infoOf('bounded')).numActionsTaken;
    await expect(backfillSchedule(server.client, config, 'bounded', asked)).rejects.toThrow(words);
    expect((await infoOf('bounded')).numActionsTaken).toBe(before);
  });
});

describe('the times of the server', () => {
  const serverTimes = async (cron: string, timeZone: string, from: string, to: string) => {
    await applied('times', { cron, timeZone });
    return (await matchingTimes(server.client, 'times', new Date(from), new Date(to))).map((at) =>
      at.toISOString(),
    );
  };

  it.each([
    ['15 4 * * *', 'UTC'],
    ['*/20 8-10 * * MON-FRI', 'Europe/Berlin'],
    ['0 0 1 * SAT', 'UTC'],
    ['0 6,18 1-7 */2 7', 'America/New_York'],
    ['5-59/13 22 29 2 *', 'Asia/Kathmandu'],
  ])('for %s in %s are those that we foresee', async (cron, timeZone) => {
    // Through a leap day and New York's change; none of these lies in the hour of a change.
    const found = await serverTimes(cron, timeZone, '2027-11-20T00:00:00Z', '2028-03-20T00:00:00Z');
    const foreseen = nextStarts(
      { cron: [cron], timeZone },
      new Date('2027-11-19T23:59:59Z'),
      found.length + 1,
    );
    expect(found.length).toBeGreaterThan(0);
    expect(foreseen.slice(0, -1).map((at) => at.toISOString())).toEqual(found);
    expect(foreseen.at(-1)?.getTime() ?? Infinity).toBeGreaterThan(Date.parse('2028-03-20T00:00:00Z'));
  });

  it('02:30 in Berlin does not come on the night when the clock is set forward', async () => {
    expect(
      await serverTimes('30 2 * * *', 'Europe/Berlin', '2027-03-26T12:00:00Z', '2027-03-29T12:00:00Z'),
    ).toEqual(['2027-03-27T01:30:00.000Z', '2027-03-29T00:30:00.000Z']);
  });

  it.each([
    ['30 2 * * *', 'Europe/Berlin', '2026-10-25', ['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z']],
    [
      '30 1 * * *',
      'America/New_York',
      '2026-11-01',
      ['2026-11-01T05:30:00.000Z', '2026-11-01T06:30:00.000Z'],
    ],
  ])(
    '%s in %s comes once or twice on the night when the clock is set back',
    async (cron, timeZone, day, both) => {
      const found = await serverTimes(cron, timeZone, `${day}T00:00:00Z`, `${day}T12:00:00Z`);
      // Which of the two depends on the zone and the server's version; docs/schedules.md has what was measured.
      expect(found.length).toBeGreaterThan(0);
      expect(both).toEqual(expect.arrayContaining(found));
      expect(
        nextStarts({ cron: [cron], timeZone }, new Date(`${day}T00:00:00Z`), 2).map((at) => at.toISOString()),
      ).toEqual(both);
    },
  );
});
