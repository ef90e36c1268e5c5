import { duration } from './text';

/** How strongly a statement locks; the order is that of what they stop. `reads` stops everything. */
export type Blocks = 'nothing' | 'writes' | 'reads';

/** A lock on a table that others use: what a statement took, beside what its text had told. */
export interface MeasuredLock {
  /** Of the statement in its file. */
  line: number;
  table: string;
  /** As PostgreSQL calls it, e.g. AccessExclusiveLock; null where it was predicted and not taken. */
  mode: string | null;
  /** To the end of the transaction. */
  heldMs: number;
  predicted: Blocks;
}

const STOPS_WRITES = ['ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock'];

/** Modes that stop others than those who change a table's definition. */
export const STOPPING_MODES = [...STOPS_WRITES, 'AccessExclusiveLock'];

export function blocksOf(mode: string | null): Blocks {
  if (mode === 'AccessExclusiveLock') return 'reads';
  return mode !== null && STOPS_WRITES.includes(mode) ? 'writes' : 'nothing';
}

const ORDER: Blocks[] = ['nothing', 'writes', 'reads'];

export function strongest(one: Blocks, other: Blocks): Blocks {
  return ORDER.indexOf(one) >= ORDER.indexOf(other) ? one : other;
}

/** The statement stopped more than its text had told. */
export function isUnpredicted({ mode, predicted }: MeasuredLock): boolean {
  return ORDER.indexOf(blocksOf(mode)) > ORDER.indexOf(predicted);
}

export function isAsPredicted({ mode, predicted }: MeasuredLock): boolean {
  return blocksOf(mode) === predicted;
}

const MAX_WORDED = 5;

/** For a plan: what was locked, how and for how long, and where that is not what was predicted. Empty where nothing was. */
export function describeLocks(locks: MeasuredLock[] = []): string {
  const sorted = [...locks].sort((a, b) => Number(isUnpredicted(b)) - Number(isUnpredicted(a)));
  const more = sorted.length - MAX_WORDED;
  return [
    ...sorted.slice(0, MAX_WORDED).map(describeLock),
    ...(more > 0 ? [`and ${more} more locks`] : []),
  ].join(', ');
}

function describeLock(lock: MeasuredLock): string {
  const { table, mode, heldMs, predicted } = lock;
  if (mode === null) return `no lock of ${table}, although one that stops ${predicted} was predicted`;
  const name = mode
    .replace(/Lock$/, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase();
  const differs = isAsPredicted(lock)
    ? 'as predicted'
    : predicted === 'nothing'
      ? 'not predicted'
      : `predicted was one that stops ${predicted}`;
  return `${name} on ${table} for ${duration(heldMs)} (${differs})`;
}
