import { closedBreaker } from './breaker';
import type { GuardMemory, GuardState } from '../../contract/guard';

/** Of a memo that every describe carries. */
const MAX_REMEMBERED = 50;
const MAX_CHANGES = 10;

/** What must outlive the guard. */
export function memoryOf(state: GuardState): GuardMemory {
  const { paused, holder, lastToken, sick, changes, breaker } = state;
  return {
    paused,
    holder,
    lastToken,
    sick,
    open: breaker.open.slice(-MAX_REMEMBERED),
    ceilings: breaker.ceilings,
    changes: changes.slice(-MAX_CHANGES),
  };
}

/** The state of a guard that begins: its own from before it continued as new, or what is known of the one before it. */
export function followedBy({
  before,
  ...initial
}: Partial<GuardState> & { target: string; before?: GuardMemory }): GuardState {
  const { open = [], ceilings = {}, ...memory } = before ?? {};
  return {
    paused: null,
    holder: null,
    waiting: [],
    lastToken: 0,
    breaker: { ...closedBreaker(), open, ceilings },
    queue: [],
    sick: {},
    changes: [],
    letters: [],
    ...memory,
    ...initial,
  };
}
