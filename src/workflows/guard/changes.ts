import type { GuardChange, GuardState } from '../../contract/guard';

const MAX_CHANGES = 50;

export function noteChange(state: Pick<GuardState, 'changes'>, change: Omit<GuardChange, 'at'>): void {
  state.changes = [...state.changes, { at: now(), ...change }].slice(-MAX_CHANGES);
}

/** ISO time of the workflow's own clock. */
export function now(): string {
  return new Date(Date.now()).toISOString();
}
