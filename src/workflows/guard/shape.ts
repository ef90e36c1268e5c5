import type { Release } from '../../contract/guard';
import type { PlaceWish } from '../../contract/places';

export { isRelease } from '../../contract/guard';

const RUNBOOK = /^[A-Za-z][A-Za-z0-9]{0,99}$/;

export function isSame(a: Release, b: Release): boolean {
  return a.workflowId === b.workflowId && a.runId === b.runId;
}

/** Whether it may be the name of a runbook. */
export function isRunbook(name: unknown): name is string {
  return typeof name === 'string' && RUNBOOK.test(name);
}

/** A text of somebody's, of no more than so many characters. Not every value can be made a text of. */
export function boundedText(value: unknown, otherwise: string, max: number): string {
  return (typeof value === 'string' ? value : otherwise).slice(0, max);
}

/** Longer than any name, and than any fingerprint that a run can be started with. */
const MAX_SHORT = 500;

/** Whether it is a text that the memo of a guard can hold dozens of. */
export function isShort(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_SHORT;
}

/** Whether all of these are numbers. */
export function areNumbers(...values: unknown[]): boolean {
  return values.every((value) => Number.isFinite(value));
}

/** Whether it says which places, and how many there are. */
export function isWish({ pool, shard, limits }: Partial<PlaceWish> = {}): boolean {
  return typeof pool === 'string' && areNumbers(shard, limits?.alerts, limits?.schedules, limits?.shards);
}
