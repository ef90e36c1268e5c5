import { closedBreaker } from './breaker';
import type { BreakerState, GuardMemory, GuardState } from '../../contract/guard';

/** Of a memo that every describe carries. */
const MAX_REMEMBERED = 50;
const MAX_CHANGES = 10;
/** Runs of one service for alerts: far more than open its breaker. */
const MAX_RECURRING = 30;

/** What must outlive the guard. `withRuns`: also what recurrences are counted by. */
export function memoryOf(state: GuardState, withRuns: boolean): GuardMemory {
  const { paused, holder, lastToken, sick, changes, breaker, untold = [] } = state;
  return {
    paused,
    holder,
    lastToken,
    sick,
    open: breaker.open.slice(-MAX_REMEMBERED),
    ceilings: breaker.ceilings,
    ...(withRuns ? recurringOf(breaker) : {}),
    ...(untold.length === 0 ? {} : { untold }),
    changes: changes.slice(-MAX_CHANGES),
  };
}

/** Those that schedules started recur by intent. */
function recurringOf({ past, running }: BreakerState): Pick<GuardMemory, 'recurring'> {
  const known = [
    ...past,
    ...running.map(({ runbook, fingerprint, startedAt, workflowId, runId }) => ({
      ...{ runbook, fingerprint, startedAt },
      run: { workflowId, runId },
    })),
  ];
  const recurring = known.filter(({ fingerprint }) => fingerprint !== null).slice(-MAX_RECURRING);
  return recurring.length === 0 ? {} : { recurring };
}

/** The state of a guard that begins: its own from before it continued as new, or what is known of the one before it. */
export function followedBy({
  before,
  ...initial
}: Partial<GuardState> & { target: string; before?: GuardMemory }): GuardState {
  const { open = [], ceilings = {}, recurring: past = [], ...memory } = before ?? {};
  return {
    paused: null,
    holder: null,
    waiting: [],
    lastToken: 0,
    breaker: { ...closedBreaker(), past, open, ceilings },
    queue: [],
    sick: {},
    changes: [],
    letters: [],
    ...memory,
    ...initial,
  };
}
