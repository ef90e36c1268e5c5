import type { WorkflowHandle } from '@temporalio/client';
import type { PlacesState } from '../../../src/contract/places';
import { useEnvironment, withKit, type Kit } from './harness';
import { acts, byAlert, closeDoor, fresh, one, queued } from './placed';

const env = useEnvironment();

const takers = async (): Promise<string[]> => {
  const { taken } = await env.client.workflow.getHandle('places/0').query<PlacesState>('state');
  return taken.map(({ workflowId }) => workflowId);
};
const auto = () => ({ mode: 'auto' as const, service: fresh('service'), places: one });

/** The only place is free: another run gets it, and keeps it until the door is opened; until then the clock cannot be moved. */
async function takesThePlace(kit: Kit): Promise<{ other: WorkflowHandle; door: { open: () => void } }> {
  const door = closeDoor(kit);
  kit.world.policy = auto();
  const other = await byAlert(kit);
  await acts(kit, other);
  return { other, door };
}

describe('the place of a run', () => {
  it('is given back while it rests, and one is taken again before it goes on', () =>
    withKit(env, async (kit) => {
      kit.world.policy = auto();
      const resting = await byAlert(kit, 'resting');
      await kit.until(resting, ({ summary }) => summary.startsWith('Let it settle'));
      kit.world.policy = auto();
      expect((await kit.settled(await byAlert(kit))).outcome).toBe('SUCCEEDED');
      await env.sleep('50 minutes');
      kit.world.policy = auto();
      const other = await byAlert(kit, 'holder');
      await kit.until(other, ({ facts }) => facts['token'] !== undefined);
      await env.sleep('15 minutes');
      await queued(kit, resting);
      expect(await takers()).toEqual([other.workflowId]);
      await other.cancel();
      expect((await kit.settled(resting)).outcome).toBe('SUCCEEDED');
    }));

  it('is given back while it waits long for a lease, and one is taken again before it acts', () =>
    withKit(env, async (kit) => {
      kit.world.policy = { mode: 'auto' };
      const holder = await kit.start('holder');
      await kit.until(holder, ({ facts }) => facts['token'] !== undefined);
      kit.world.policy = auto();
      const waiting = await byAlert(kit, 'underLease');
      await kit.until(waiting, ({ summary }) => summary.startsWith('waiting for the lease'));
      // For a moment it keeps it: most leases are given back soon.
      expect(await takers()).toEqual([waiting.workflowId]);
      await env.sleep('2 minutes');
      const { other, door } = await takesThePlace(kit);
      await holder.cancel();
      await queued(kit, waiting);
      expect((await kit.until(waiting, () => true)).timeline.map(({ title }) => title)).not.toContain(
        'Change leased',
      );
      door.open();
      expect((await kit.settled(other)).outcome).toBe('SUCCEEDED');
      await kit.until(waiting, ({ timeline }) => timeline.some(({ title }) => title === 'Soak'));
      expect(await takers()).toEqual([waiting.workflowId]);
      await waiting.cancel();
    }));
});
