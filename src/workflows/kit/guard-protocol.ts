import type { Outcome } from '../../report/types';
import type { Admission, BreakerState, Verdict } from './breaker';

/** Target of the guard whose pause stops every gate: the kill switch. */
export const GUARD_ALL = 'all';

/** Workflow type of the guard. */
export const GUARD_TYPE = 'guard';

export function guardId(target: string): string {
  return `guard/${target}`;
}

export interface LeaseRequest {
  /** `lease`: exclusive use of the target. `pass`: only leave to go on, refused while paused. */
  kind: 'lease' | 'pass';
  workflowId: string;
  runId: string;
  runbook: string;
  /** Tokens granted are larger than this. */
  atLeast: number;
}

export interface Release {
  workflowId: string;
  runId: string;
}

export interface PauseOrder {
  by: string;
  reason: string;
}

export interface Holder {
  workflowId: string;
  runId: string;
  token: number;
  /** ISO time. */
  since: string;
}

/** What a guard tells a run that asked for admission. */
export interface VerdictNotice extends Verdict {
  target: string;
}

export interface Ending extends Release {
  /** UNKNOWN where only the place matters. */
  outcome: Outcome | 'UNKNOWN';
}

/** A service whose automation is in trouble, told to the guard of everything. */
export interface SickReport {
  service: string;
  reason: string;
  /** Services in trouble within an hour that stop everything. */
  limit: number;
}

/** A person's change of a breaker. */
export interface LadderOrder extends PauseOrder {
  runbook: string;
  mode: string;
}

export interface GuardChange {
  at: string;
  by: string;
  what: string;
  reason: string;
}

/** State of a guard: answer of its `state` query, and its argument when it continues as new. */
export interface GuardState {
  target: string;
  paused: (PauseOrder & { at: string }) | null;
  holder: Holder | null;
  waiting: (LeaseRequest & { since: string })[];
  lastToken: number;
  breaker: BreakerState;
  /** Runs that wait for a place, first come first. */
  queue: (Admission & { since: string; told: boolean })[];
  /** By service, in the guard of everything. */
  sick: Record<string, { at: string; reason: string }>;
  /** What people, and the breaker itself, changed: newest last. */
  changes: GuardChange[];
}
