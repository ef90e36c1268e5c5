import type { WorkflowHandle } from '@temporalio/client';
import { readGuardMemory, signalGuard } from '../../../src/activities/guard/reach-guard';
import type { GuardState } from '../../../src/contract/guard';
import { createDevEnvironment } from '../../support/dev-server';
import { POLICY, taskQueue, useEnvironment, withKit, type Kit } from './harness';
import { acts, byAlert, closeDoor, fresh, one, queued, serviceOf, taken } from './placed';

const env = useEnvironment(createDevEnvironment);

const approve = async (kit: Kit, handle: WorkflowHandle) => {
  const { id } = await kit.waiting(handle);
  await handle.executeUpdate('approve', { args: [{ plan: id, by: 'ben' }] });
};

/** A run leads another, whose approval came while a third had taken the only place. */
async function approvedWithoutPlace(kit: Kit) {
  kit.world.policy = { mode: 'propose', service: fresh('service'), places: one };
  const leader = await byAlert(kit, 'leading');
  const child = env.client.workflow.getHandle(`${leader.workflowId}/fiveMovements-1`);
  await kit.until(leader, ({ timeline }) => timeline.some(({ title }) => title === 'Five movements'));
  await kit.waiting(child);
  const door = closeDoor(kit);
  kit.world.policy = { mode: 'auto', service: fresh('service'), places: one };
  const other = await byAlert(kit);
  await acts(kit, other);
  await approve(kit, child);
  await queued(kit, leader);
  return { leader, child, other, door };
}

const CANCEL_REQUESTED = 3;

describe('the places of all services', () => {
  it('are taken by those who work and not by those who wait for people; the most urgent comes first', () =>
    withKit(env, async (kit) => {
      const policyOf = (changes: object) => ({ service: fresh('service'), places: one, ...changes });
      const waiting: WorkflowHandle[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        kit.world.policy = policyOf({ mode: 'propose' });
        waiting.push(await byAlert(kit));
        await kit.waiting(waiting.at(-1)!);
      }
      const door = closeDoor(kit);
      kit.world.policy = policyOf({ mode: 'auto', priority: 'P1' });
      const urgent = await byAlert(kit);
      await acts(kit, urgent);
      kit.world.policy = policyOf({ mode: 'auto' });
      const earlier = await byAlert(kit);
      await queued(kit, earlier);
      // The only place is taken now: whoever has a person's word waits for it as well, and says so.
      await approve(kit, waiting[0]!);
      const { summary } = await queued(kit, waiting[0]!);
      expect(summary).toContain('no place for alerts is free yet: there are 1 over all services');
      const later: WorkflowHandle[] = [];
      for (const priority of ['P3', 'P0'] as const) {
        kit.world.policy = policyOf({ mode: 'auto', priority });
        later.push(await byAlert(kit));
        await queued(kit, later.at(-1)!);
      }
      door.open();
      const [least, most] = await Promise.all(later.map((handle) => kit.settled(handle)));
      expect((await kit.settled(urgent)).outcome).toBe('SUCCEEDED');
      const approved = await kit.settled(waiting[0]!);
      const began = ({ timeline }: { timeline: { title: string; startedAt: string }[] }) =>
        Date.parse(timeline.find(({ title }) => title === 'Change a')!.startedAt);
      expect(began(most!)).toBeLessThan(began(approved));
      // Of the same severity, and it came later.
      const unasked = await kit.settled(earlier);
      expect(began(approved)).toBeLessThan(began(unasked));
      expect(began(unasked)).toBeLessThan(began(least!));
      for (const handle of waiting.slice(1)) await handle.cancel();
      await taken(env.client, 0, (state) => state.taken.length === 0 && state.queue.length === 0);
    }));

  it('of one service are limited as well, and given back however a run ends', () =>
    withKit(env, async (kit) => {
      const door = closeDoor(kit);
      const service = fresh('service');
      kit.world.policy = { mode: 'auto', service, breaker: { ...POLICY.breaker, maxConcurrent: 1 } };
      const first = await byAlert(kit);
      await acts(kit, first);
      const second = await byAlert(kit);
      const { summary } = await queued(kit, second);
      expect(summary).toContain('1 of 1 places of the service for alerts are taken');
      await second.cancel();
      const third = await byAlert(kit);
      await queued(kit, third);
      await first.cancel();
      // What it does ends only now: the change was made, and is undone.
      const asked = async () =>
        Number((await first.describe()).raw.pendingActivities?.[0]?.state) === CANCEL_REQUESTED;
      while (!(await asked())) await new Promise((resolve) => setTimeout(resolve, 20));
      door.open();
      // Its service has stepped down for the one that was undone.
      await kit.waiting(third);
      await third.cancel();
      const guard = env.client.workflow.getHandle(`guard/${service}`);
      for (let tries = 0; tries < 1_200; tries += 1) {
        const { breaker, queue } = await guard.query<GuardState>('state');
        if (breaker.running.length === 0 && queue.length === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error(JSON.stringify(await guard.query('state')));
    }));

  it('of a shard that has none left are those of the others', () =>
    withKit(env, async (kit) => {
      const door = closeDoor(kit);
      const places = { alerts: 2, schedules: 2, shards: 2 };
      const handles: WorkflowHandle[] = [];
      for (let turn = 0; turn < 3; turn += 1) {
        kit.world.policy = { mode: 'auto', service: serviceOf(1), places };
        handles.push(await byAlert(kit));
        if (turn < 2) await acts(kit, handles[turn]!);
      }
      await queued(kit, handles[2]!);
      await taken(env.client, 0, (state) => state.taken.length === 1);
      await taken(env.client, 1, (state) => state.taken.length === 1 && state.queue.length === 1);
      door.open();
      for (const handle of handles) expect((await kit.settled(handle)).outcome).toBe('SUCCEEDED');
      for (const shard of [0, 1])
        await taken(env.client, shard, (state) => state.taken.length === 0 && state.queue.length === 0);
    }));

  it('of a run are those of its parts: while a part waits for people, others may have it', () =>
    withKit(env, async (kit) => {
      const { leader, child, other, door } = await approvedWithoutPlace(kit);
      expect(
        (await child.query<{ timeline: { title: string }[] }>('status')).timeline.map(({ title }) => title),
      ).not.toContain('Change a');
      door.open();
      expect((await kit.settled(leader)).summary).toBe('the other one ended as SUCCEEDED');
      expect((await kit.settled(other)).outcome).toBe('SUCCEEDED');
    }));

  it('keep no run from its way back that is cancelled while a part of it waits for one', () =>
    withKit(env, async (kit) => {
      const { leader, child, other, door } = await approvedWithoutPlace(kit);
      await leader.cancel();
      expect((await kit.settled(leader)).outcome).toBe('CANCELLED');
      expect((await kit.settled(child)).outcome).toBe('CANCELLED');
      door.open();
      await kit.settled(other);
    }));

  it('that come too late, while a run waits for people already, go back', () =>
    withKit(env, async (kit) => {
      const service = fresh('service');
      kit.world.policy = { mode: 'propose', service, places: one };
      const resting = await byAlert(kit);
      await kit.waiting(resting);
      const { runId } = await resting.describe();
      const notice = { target: service, state: 'admitted', mode: 'propose', reason: '' };
      await env.client.workflow.getHandle('places/0').signal('want', {
        workflowId: resting.workflowId,
        runId,
        rank: 1,
        pool: 'alerts',
        shard: 0,
        limits: one,
        notice,
      });
      const taker = ({ workflowId }: { workflowId: string }) => workflowId === resting.workflowId;
      await kit.until(resting, () => true);
      await taken(env.client, 0, (state) => !state.taken.some(taker) && !state.queue.some(taker));
      kit.world.policy = { mode: 'auto', service: fresh('service'), places: one };
      const other = await byAlert(kit);
      expect((await kit.settled(other)).outcome).toBe('SUCCEEDED');
      await resting.cancel();
    }));

  it('are not kept by those whom the kill switch holds back', () =>
    withKit(env, async (kit) => {
      const service = fresh('service');
      const words = { by: 'ben', reason: 'freeze' };
      const say = (signal: string) => signalGuard(env.client, taskQueue, service, signal, words);
      const known = async (paused: boolean): Promise<void> => {
        while ((((await readGuardMemory(env.client, service))?.memory?.paused ?? null) !== null) !== paused)
          await new Promise((resolve) => setTimeout(resolve, 20));
      };
      await say('pause');
      await known(true);
      kit.world.policy = { mode: 'auto', service, places: one };
      const paused = await byAlert(kit);
      await kit.until(paused, ({ summary }) => summary.startsWith('paused'));
      const door = closeDoor(kit);
      kit.world.policy = { mode: 'auto', service: fresh('service'), places: one };
      const other = await byAlert(kit);
      await acts(kit, other);
      await say('resume');
      await known(false);
      await paused.signal('wake', service);
      // Before it acts it takes one again.
      await queued(kit, paused);
      door.open();
      for (const handle of [other, paused]) expect((await kit.settled(handle)).outcome).toBe('SUCCEEDED');
    }));

  it('of a run that was terminated are found', () =>
    withKit(env, async (kit) => {
      const door = closeDoor(kit);
      kit.world.policy = { mode: 'auto', service: fresh('service'), places: one };
      const dead = await byAlert(kit);
      await acts(kit, dead);
      await dead.terminate();
      kit.world.policy = { mode: 'auto', service: fresh('service'), places: one };
      const next = await byAlert(kit);
      await queued(kit, next);
      await acts(kit, next);
      door.open();
      await kit.settled(next);
    }));
});
