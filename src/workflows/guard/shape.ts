import type { Release } from '../../contract/guard';

/** Whether a signal, which can come from anybody, names a run. */
export function isRelease<T extends Partial<Release>>(signal: T | null | undefined): signal is T & Release {
  return typeof signal?.workflowId === 'string' && typeof signal.runId === 'string';
}
