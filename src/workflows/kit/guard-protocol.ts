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

/** State of a guard: answer of its `state` query, and its argument when it continues as new. */
export interface GuardState {
  target: string;
  paused: (PauseOrder & { at: string }) | null;
  holder: Holder | null;
  waiting: (LeaseRequest & { since: string })[];
  lastToken: number;
}
