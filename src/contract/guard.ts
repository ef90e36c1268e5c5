import type { Outcome } from './report';
import type { Mode } from './modes';
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
export interface AdmissionNotice extends AdmissionAnswer {
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
/** What the configuration allows runs that nobody started by hand. Times in milliseconds. */
export interface BreakerLimits {
  windowMs: number;
  maxRecurrences: number;
  cooldownMs: number;
  flapLimit: number;
  maxConcurrent: number;
}

/** A run that asks whether it may go ahead, and how far. */
export interface Admission {
  workflowId: string;
  runId: string;
  runbook: string;
  /** Fingerprint of the alert that started it; null for schedules, which recur by intent. */
  fingerprint: string | null;
  /** What configuration and input allow. */
  mode: Mode;
  limits: BreakerLimits;
  /** Part of another run, which has its place already: two of them must not wait for each other. */
  child: boolean;
}

export interface AdmissionAnswer {
  state: 'queued' | 'admitted';
  mode: Mode;
  /** Why the mode is lower than asked, or why it has to wait; empty when neither. */
  reason: string;
  /** ISO time before which the run must not look; absent when it may at once. */
  notBefore?: string;
  /** Set once, for the run that tripped the breaker: what people must be told. */
  tripped?: string;
}

export interface PastRun {
  runbook: string;
  fingerprint: string | null;
  startedAt: string;
  endedAt?: string;
  outcome?: string;
}

export interface RunningRun extends PastRun {
  workflowId: string;
  runId: string;
  child: boolean;
  verdict: AdmissionAnswer;
}

/** A breaker that is open: runs for this alert get a lower mode until the time given. */
export interface OpenBreaker {
  runbook: string;
  fingerprint: string;
  mode: Mode;
  reason: string;
  since: string;
  /** ISO time; without further runs it is closed from then on. */
  until: string;
}

/** The highest mode of a runbook after a bad outcome. Only a person raises it again. */
export interface Ceiling {
  mode: Mode;
  since: string;
  by: string;
  reason: string;
}

export interface BreakerState {
  running: RunningRun[];
  past: PastRun[];
  open: OpenBreaker[];
  ceilings: Record<string, Ceiling>;
}
