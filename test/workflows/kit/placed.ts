/** Runs that need a place among those of all services. */
import type { Client, WorkflowHandle } from '@temporalio/client';
import { shardOf, type PlacesState } from '../../../src/contract/places';
import { alertOf, type Kit } from './harness';

let count = 0;
export const fresh = (name: string) => `${name}-${(count += 1)}`;
export const byAlert = (kit: Kit, name: Parameters<Kit['start']>[0] = 'fiveMovements') =>
  kit.start(name, fresh('by-alert'), { alert: alertOf(fresh('fingerprint')) });
export const queued = (kit: Kit, handle: WorkflowHandle) =>
  kit.until(handle, ({ summary }) => summary.startsWith('waiting for a place'));

/** Runs stay in their first change until it is opened. */
export function closeDoor(kit: Kit) {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  kit.world.acts.change = async () => {
    await opened;
    return 'changed';
  };
  return { open: () => open() };
}

export const acts = (kit: Kit, handle: WorkflowHandle) =>
  kit.until(handle, ({ timeline }) => timeline.some(({ title }) => title === 'Change a'));

/** Waits until it holds of a shard. */
export async function taken(
  client: Client,
  shard: number,
  holds: (state: PlacesState) => boolean,
): Promise<void> {
  const handle = client.workflow.getHandle(`places/${shard}`);
  for (let tries = 0; tries < 1_200; tries += 1) {
    if (holds(await handle.query<PlacesState>('state'))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(JSON.stringify(await handle.query('state')));
}

/** A service that nobody has named yet, of that one of two shards. */
export function serviceOf(shard: number): string {
  for (;;) {
    const name = fresh('sharded');
    if (shardOf(name, 2) === shard) return name;
  }
}

export const one = { alerts: 1, schedules: 1, shards: 1 };
