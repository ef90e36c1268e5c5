import type { WorkflowHandle } from '@temporalio/client';
import { PLACES_TYPE, type PlaceRequest, type PlacesState } from '../../../src/contract/places';
import { createDevEnvironment } from '../../support/dev-server';
import { taskQueue, useEnvironment, withKit } from '../kit/harness';
import { fresh } from '../kit/placed';

const env = useEnvironment(createDevEnvironment);
const LIMITS = { alerts: 2, schedules: 2, shards: 2 };
const NOTICE = { target: 'booking', state: 'admitted', mode: 'auto', reason: '' } as const;

describe('two shards of the places', () => {
  const shard = (number: number): WorkflowHandle => env.client.workflow.getHandle(`places/${number}`);
  const stateOf = (number: number) => shard(number).query<PlacesState>('state');
  const ask = (number: number, wish: PlaceRequest) =>
    shard(number).executeUpdate<unknown, [PlaceRequest]>('want', { args: [wish] });
  /** A run that is there, does nothing, and keeps what it hears. */
  const waiter = async (): Promise<{ handle: WorkflowHandle; wish: PlaceRequest }> => {
    const handle = await env.client.workflow.start('guard', {
      workflowId: fresh('guard/waiter'),
      taskQueue: 'nobody',
      args: [{ target: 'waiter' }],
    });
    const { workflowId, firstExecutionRunId: runId } = handle as typeof handle & {
      firstExecutionRunId: string;
    };
    return {
      handle,
      wish: { workflowId, runId, rank: 1, notice: NOTICE, pool: 'alerts', shard: 1, limits: LIMITS },
    };
  };
  const heard = async ({ handle }: { handle: WorkflowHandle }): Promise<unknown[]> =>
    (await handle.fetchHistory())
      .events!.map(({ workflowExecutionSignaledEventAttributes: signal }) => signal)
      .filter((signal) => signal?.signalName === 'verdict')
      .map((signal) => JSON.parse(String(signal!.input!.payloads![0]!.data)) as unknown);
  const until = async (holds: () => Promise<boolean>): Promise<void> => {
    while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  const start = async () => {
    for (const number of [0, 1])
      await env.client.workflow.signalWithStart(PLACES_TYPE, {
        workflowId: `places/${number}`,
        taskQueue,
        args: [{ shard: number, limits: LIMITS }],
        signal: 'free',
        signalArgs: [{ workflowId: 'nobody', runId: 'nobody' }],
      });
  };
  const leave = async (waiters: { handle: WorkflowHandle; wish: PlaceRequest }[]) => {
    for (const { handle, wish } of waiters) {
      for (const number of [0, 1]) await shard(number).signal('free', wish);
      await handle.terminate();
    }
    await until(async () => (await stateOf(0)).taken.length + (await stateOf(1)).taken.length === 0);
  };

  it('let a run that only looks wait nowhere', () =>
    withKit(env, async () => {
      await start();
      const [first, second] = [await waiter(), await waiter()];
      expect(await ask(1, { ...first.wish, glance: true })).toMatchObject({ argument: { shard: 1 } });
      expect(await ask(1, { ...second.wish, glance: true })).toBeNull();
      const { taken, queue } = await stateOf(1);
      expect([taken.length, queue.length]).toEqual([1, 0]);
      await leave([first, second]);
    }));

  it('give those of alerts to no schedule, and those of schedules to no alert', () =>
    withKit(env, async () => {
      await start();
      const [alert, schedule, another] = [await waiter(), await waiter(), await waiter()];
      const given = { argument: { shard: 1 } };
      expect(await ask(1, { ...alert.wish, glance: true })).toMatchObject(given);
      expect(await ask(1, { ...schedule.wish, pool: 'schedules', glance: true })).toMatchObject(given);
      expect(await ask(1, { ...another.wish, glance: true })).toBeNull();
      await leave([alert, schedule, another]);
    }));

  it('tell a run that waits of one place only, wherever it is found', () =>
    withKit(env, async () => {
      await start();
      const [holder, waits] = [await waiter(), await waiter()];
      await ask(1, holder.wish);
      await ask(1, waits.wish);
      // Its own shard asks the other one, which has a place.
      await until(async () => (await heard(waits)).length > 0);
      expect(await heard(waits)).toEqual([{ ...NOTICE, shard: 0 }]);
      expect((await stateOf(1)).queue).toEqual([]);
      // One more that nobody waits for: it goes back, and the run does not hear of it.
      await shard(0).signal('free', waits.wish);
      await shard(0).signal('want', { ...waits.wish, passedBy: 1 });
      await until(async () => (await stateOf(0)).taken.length === 0 && (await stateOf(0)).queue.length === 0);
      expect(await heard(waits)).toHaveLength(1);
      await leave([holder, waits]);
    }));
});
