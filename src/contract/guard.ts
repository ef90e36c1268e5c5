import type { Outcome } from './report';
import type { Mode } from './modes';
import type { PlaceWish, Pool } from './places';

/** Target of the guard whose pause stops every gate: the kill switch. */
export const GUARD_ALL = 'all';

/** Workflow type of the guard. */
export const GUARD_TYPE = 'guard';

/** Field of a guard's memo: what must outlive it. It can be read whether or not the guard runs, and a worker answers. */
export const GUARD_MEMO = 'guard';

export function guardId(target: string): string {
  return `guard/${target}`;
}

/** What the guard of that ID guards. */
export function targetOfGuard(id: string): string {
  return id.slice(guardId('').length);
}

/** The target itself and what it lies in: a pause of `booking` covers `booking/production`. Everything comes first. */
export function coveringTargets(target: string): string[] {
  const parts = target === GUARD_ALL ? [] : target.split('/');
  return [GUARD_ALL, ...parts.map((_, index) => parts.slice(0, index + 1).join('/'))];
}

export interface LeaseRequest {
  workflowId: string;
  runId: string;
  runbook: string;
  /** Tokens granted are larger than this. */
  atLeast: number;
  /** The most urgent have the lowest. */
  rank: number;
}

export interface Release {
  workflowId: string;
  runId: string;
}

const MAX_ID = 1_000;
const RUN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * Whether a signal, which can come from anybody, names a run. The server refuses a turn that answers a run ID of another
 * shape, again and again: whoever answered it would never get on.
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
  /** Why it needs a person: then only a person gives the lease free, whatever becomes of the run. */
  kept?: string;
  /** ISO time: when it began to be kept, or people were last reminded of that. */
  remindedAt?: string;
  /** The reminder that is due reached nobody: how often it was tried, and when last (ISO time). */
  unsent?: Unsent;
}

export interface Unsent {
  times: number;
  at: string;
}

/** What a run was to tell people, and has not said yet that it did. */
export interface Untold extends Release {
  text: string;
  /** ISO time: when its guard looks at it next. */
  lookAt: string;
  /** How often it was looked at, or people could not be told instead. */
  times: number;
  /** It has ended: then the guard tells them. */
  over?: true;
}

/** A run that needs a person: its lease stays until one has released it. */
export interface Keep extends Release {
  why: string;
}

/** A person's word that what a run left behind is repaired. */
export type Freeing = PauseOrder;

/** What a guard tells a run that asked for admission. */
export interface AdmissionNotice extends AdmissionAnswer {
  target: string;
  /** Which shard gave it a place. */
  shard?: number;
}

export interface Ending extends Release {
  /** So that a guard which does not know the run, because the one before it was terminated, can judge its outcome. */
  runbook?: string;
  /** UNKNOWN where only the place matters. */
  outcome: Outcome | 'UNKNOWN';
}

/** What a run gives back, and to whom. */
export interface Leaving extends Ending {
  service: string;
  /** Shards that gave it a place. */
  shards: number[];
  /** True when it only waits, and comes again. */
  rests: boolean;
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

export type Pause = PauseOrder & { at: string };

/** What a guard must not lose whatever becomes of it: kept in its memo, and handed to the one that follows it. */
export interface GuardMemory {
  paused: Pause | null;
  holder: Holder | null;
  lastToken: number;
  /** Breakers that are open, the newest. */
  open: OpenBreaker[];
  ceilings: Record<string, Ceiling>;
  /** Runs for alerts, the newest: what a recurrence is counted by. Absent where there was none. */
  recurring?: PastRun[];
  /** Openings of the breaker that people may not know of. Absent where there is none. */
  untold?: Untold[];
  /** By service, in the guard of everything. */
  sick: Record<string, { at: string; reason: string }>;
  /** What people, and the breaker itself, changed: newest last. */
  changes: GuardChange[];
}

/** State of a guard: answer of its `state` query, and its argument when it continues as new. */
export interface GuardState extends Omit<GuardMemory, 'open' | 'ceilings' | 'recurring'> {
  target: string;
  waiting: (LeaseRequest & { since: string })[];
  breaker: BreakerState;
  /** Runs that wait for a place, the most urgent first. */
  queue: (Admission & { since: string; told: boolean })[];
  /** What is to be said, and was not yet. */
  letters: Letter[];
}

/** A signal to a run, or to a workflow of ours that is started where there is none. */
export interface Letter {
  workflowId: string;
  /** Of a run: another one of that workflow ID must not get it. */
  runId?: string;
  signal: string;
  argument: unknown;
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
  /** The most urgent have the lowest. */
  rank: number;
  /** Null for a part of another run, which has its place already: two of them must not wait for each other. */
  place: PlaceWish | null;
  /** It was admitted before, gave its place back while it waited, and is not judged a second time. */
  again: boolean;
}

export interface AdmissionAnswer {
  state: 'queued' | 'admitted';
  mode: Mode;
  /** Why the mode is lower than asked, or why it has to wait; empty when neither. */
  reason: string;
  /** ISO time before which the run must not look; absent when it may at once. It has no place until then. */
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
  /** Of one that had not ended when its guard was terminated: its end is still to come. */
  run?: Release;
}

export interface RunningRun extends PastRun {
  workflowId: string;
  runId: string;
  /** The pool whose place it has here; null where it has none, or gave it back while it waits. */
  pool: Pool | null;
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
