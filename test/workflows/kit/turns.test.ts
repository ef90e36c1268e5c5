import type { TestWorkflowEnvironment } from '@temporalio/testing';
import type { GuardState } from '../../../src/contract/guard';
import { createDevEnvironment } from '../../support/dev-server';
import { quietTemporal } from '../../support/quiet';
import { stopKit, withKit } from './harness';
import { acts, byAlert, closeDoor, fresh, one, queued, taken } from './placed';

quietTemporal();
let env: TestWorkflowEnvironment;
beforeAll(async () => {
  env = await createDevEnvironment();
});
afterAll(async () => {
  await stopKit();
  await env?.teardown();
});

const eventsOf = async (workflowId: string) =>
  (await env.client.workflow.getHandle(workflowId).fetchHistory()).events ?? [];

/** What stands in the histories of these workflows. */
async function costOf(...workflowIds: string[]): Promise<Record<string, number>> {
  const events = (await Promise.all(workflowIds.map(eventsOf))).flat();
  const count = (attributes: keyof (typeof events)[number]) =>
    events.filter((event) => event[attributes] != null).length;
  return {
    turns: count('workflowTaskCompletedEventAttributes'),
    activities: count('activityTaskScheduledEventAttributes'),
    signals: count('workflowExecutionSignaledEventAttributes'),
    timers: count('timerStartedEventAttributes'),
    events: events.length,
  };
}

describe('places', () => {
  it('cost a short run one turn of its own, and two of each entity that it asks', () =>
    withKit(env, async (kit) => {
      const service = fresh('service');
      kit.world.policy = { mode: 'auto', service };
      // Its guard begins, and so the first one hears by signal.
      await kit.settled(await byAlert(kit, 'looking'));
      const entities = [`guard/${service}`, 'places/0'];
      const cost = async () => {
        const before = await costOf(...entities);
        const handle = await byAlert(kit, 'looking');
        expect((await kit.settled(handle)).outcome).toBe('NOTHING_TO_DO');
        const after = await costOf(handle.workflowId, ...entities);
        return Object.fromEntries(Object.entries(after).map(([kind, many]) => [kind, many - before[kind]!]));
      };
      // An answer that is late costs more, and so do those after it for some seconds.
      const costs = [await cost()];
      for (const deadline = Date.now() + 120_000; costs.at(-1)!['turns'] !== 5 && Date.now() < deadline;)
        costs.push(await cost());
      expect(costs.at(-1)).toEqual({ turns: 5, activities: 0, signals: 0, timers: 0, events: 34 });
    }));

  it('are taken once by a run whose answer is lost', () =>
    withKit(env, async (kit) => {
      const door = closeDoor(kit);
      const service = fresh('service');
      kit.world.policy = { mode: 'auto', service, places: one };
      kit.world.lost = 2;
      const handle = await byAlert(kit);
      await acts(kit, handle);
      expect(kit.world.lost).toBe(0);
      const { breaker } = await env.client.workflow.getHandle(`guard/${service}`).query<GuardState>('state');
      expect(breaker.running).toHaveLength(1);
      await taken(env.client, 0, (state) => state.taken.length === 1 && state.queue.length === 0);
      door.open();
      expect((await kit.settled(handle)).outcome).toBe('SUCCEEDED');
      await taken(env.client, 0, (state) => state.taken.length === 0);
    }));

  it('are waited for without asking other shards where there is only one', () =>
    withKit(env, async (kit) => {
      const door = closeDoor(kit);
      const start = async () => {
        kit.world.policy = { mode: 'auto', service: fresh('service'), places: one };
        return byAlert(kit);
      };
      const first = await start();
      await acts(kit, first);
      const before = (await eventsOf('places/0')).length;
      const second = await start();
      await queued(kit, second);
      // It looks at those who have a place; nothing else wakes it up until then.
      const since = async () => (await eventsOf('places/0')).slice(before);
      const looks = (events: Awaited<ReturnType<typeof since>>) =>
        events.findIndex(
          ({ activityTaskScheduledEventAttributes: task }) => task?.activityType?.name === 'findEnded',
        );
      while (looks(await since()) === -1) await new Promise((resolve) => setTimeout(resolve, 200));
      const events = await since();
      door.open();
      const woken = events
        .slice(0, looks(events))
        .filter(({ timerStartedEventAttributes: timer }) => timer != null);
      expect(woken).toHaveLength(1);
      for (const handle of [first, second]) await kit.settled(handle);
    }));
});
