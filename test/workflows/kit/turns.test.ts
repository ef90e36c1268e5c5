import { Worker } from '@temporalio/worker';
import type { GuardState, Letter } from '../../../src/contract/guard';
import { createDevEnvironment } from '../../support/dev-server';
import { askFor } from '../../support/shared/ask';
import { NOBODY, POLICY, useEnvironment, withKit } from './harness';
import { acts, byAlert, closeDoor, fresh, one, queued, serviceOf, taken } from './placed';

const env = useEnvironment(createDevEnvironment);

const eventsOf = async (workflowId: string) =>
  (await env.client.workflow.getHandle(workflowId).fetchHistory()).events ?? [];

const bundle = async () => ({ codePath: await askFor('bundle', require.resolve('./fixtures')) });

/** Whether each of them would decide the same again. */
async function replay(...workflowIds: string[]): Promise<void> {
  for (const id of workflowIds) {
    const history = await env.client.workflow.getHandle(id).fetchHistory();
    await Worker.runReplayHistory({ workflowBundle: await bundle() }, history, id);
  }
}

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
      await replay(...entities);
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

  it('of another shard are had within the same turn where the own one has none left', () =>
    withKit(env, async (kit) => {
      const places = { alerts: 2, schedules: 2, shards: 2 };
      const [busy, idle] = [serviceOf(1), serviceOf(0)];
      for (const service of [busy, idle]) {
        kit.world.policy = { mode: 'auto', service, places };
        // Its guard and its shard begin.
        await kit.settled(await byAlert(kit, 'looking'));
      }
      kit.world.policy = { mode: 'auto', service: busy, places };
      const timersOf = async () => {
        const door = closeDoor(kit);
        const handles = [await byAlert(kit), await byAlert(kit)];
        for (const handle of handles) await acts(kit, handle);
        for (const shard of [0, 1]) await taken(env.client, shard, (state) => state.taken.length === 1);
        const costs = await Promise.all(handles.map(({ workflowId }) => costOf(workflowId)));
        door.open();
        for (const handle of handles) await kit.settled(handle);
        for (const shard of [0, 1]) await taken(env.client, shard, (state) => state.taken.length === 0);
        return costs.map(({ timers }) => timers);
      };
      // An answer that is late is waited for.
      let timers = await timersOf();
      for (let tries = 0; tries < 10 && timers.some((many) => many !== 0); tries += 1)
        timers = await timersOf();
      expect(timers).toEqual([0, 0]);
    }));

  it('are given back to a guard that was terminated meanwhile: it is started again, and told what came of the run', () =>
    withKit(env, async (kit) => {
      const door = closeDoor(kit);
      const service = fresh('service');
      kit.world.policy = { mode: 'auto', service };
      kit.world.acts.check = async () => ({ ok: false, detail: 'still bad' });
      const handle = await byAlert(kit);
      await acts(kit, handle);
      const guard = env.client.workflow.getHandle(`guard/${service}`);
      await guard.terminate();
      door.open();
      expect((await kit.settled(handle)).outcome).toBe('ROLLED_BACK');
      const { breaker } = await guard.query<GuardState>('state');
      expect(breaker.ceilings).toMatchObject({ fiveMovements: { mode: 'propose' } });
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
      await replay('places/0', first.workflowId, second.workflowId);
    }));

  it.each(['guard', 'places'])(
    'are said by signal to who asked by signal, also where %s hears its Update in the same turn',
    async (name) => {
      const run = { workflowId: 'a', runId: NOBODY, rank: 1 };
      const notice = { target: 'twice', state: 'admitted', mode: 'auto', reason: '' };
      const asks = { ...run, runbook: 'x', fingerprint: null, mode: 'auto', place: null, again: false };
      const [says, argument, initial] =
        name === 'guard'
          ? (['admit', { ...asks, limits: POLICY.breaker }, { target: 'twice' }] as const)
          : ([
              'want',
              { ...run, notice, pool: 'alerts', shard: 0, limits: one },
              { shard: 0, limits: one },
            ] as const);
      const [taskQueue, workflowId, updateId] = [`twice-${name}`, `${name}/twice`, 'asked'];
      const handle = await env.client.workflow.start(name, { taskQueue, workflowId, args: [initial] });
      await handle.signal(says, argument);
      const asked = handle.executeUpdate(says, { args: [argument], updateId });
      const updateRef = { workflowExecution: { workflowId }, updateId };
      const isHeard = () =>
        env.client.workflowService
          .pollWorkflowExecutionUpdate({ namespace: 'default', updateRef, waitPolicy: {} })
          .then(
            () => true,
            () => false,
          );
      while (!(await isHeard())) await new Promise((resolve) => setTimeout(resolve, 50));
      const told: Letter[] = [];
      const post = async (letters: Letter[]) => {
        told.push(...letters);
        return [];
      };
      const workflowBundle = await bundle();
      const activities = { post, findEnded: async () => [] };
      const worker = await Worker.create({
        ...{ connection: env.nativeConnection, taskQueue, workflowBundle, activities },
      });
      await worker.runUntil(async () => {
        await asked;
        for (const deadline = Date.now() + 60_000; told.length === 0 && Date.now() < deadline;)
          await new Promise((resolve) => setTimeout(resolve, 50));
      });
      expect(told.at(-1)).toMatchObject({
        workflowId: 'a',
        signal: 'verdict',
        argument: { state: 'admitted' },
      });
      await replay(workflowId);
      await handle.terminate();
    },
  );
});
