import type { Release } from '../../contract/guard';
import type { PlaceWish } from '../../contract/places';

const MAX_ID = 1_000;
const RUNBOOK = /^[A-Za-z][A-Za-z0-9]{0,99}$/;
const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Whether a signal, which can come from anybody, names a run. The server refuses a turn that answers a run ID of another
 * shape, again and again: nobody would get the lease any more.
 */
export function isRelease<T extends Partial<Release>>(signal: T | null | undefined): signal is T & Release {
  const { workflowId, runId } = signal ?? {};
  return (
    typeof workflowId === 'string' &&
    workflowId !== '' &&
    workflowId.length <= MAX_ID &&
    typeof runId === 'string' &&
    RUN_ID.test(runId)
  );
}

export function isSame(a: Release, b: Release): boolean {
  return a.workflowId === b.workflowId && a.runId === b.runId;
}

/** Whether it may be the name of a runbook. */
export function isRunbook(name: unknown): name is string {
  return typeof name === 'string' && RUNBOOK.test(name);
}

/** Whether all of these are numbers. */
export function areNumbers(...values: unknown[]): boolean {
  return values.every((value) => Number.isFinite(value));
}

/** Whether it says which places, and how many there are. */
export function isWish({ pool, shard, limits }: Partial<PlaceWish> = {}): boolean {
  return typeof pool === 'string' && areNumbers(shard, limits?.alerts, limits?.schedules, limits?.shards);
}
