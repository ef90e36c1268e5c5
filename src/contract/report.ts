import type { Mode } from './modes';
import type { IncidentRecord } from './incident';

/** What a run tells about itself: rendered into Current Details, the memo, reports and post-mortems. */

export type Outcome =
  | 'SUCCEEDED'
  | 'NOTHING_TO_DO'
  | 'OBSERVED'
  | 'CANCELLED'
  | 'REJECTED'
  | 'ROLLED_BACK'
  | 'FAILED'
  | 'PARTIAL'
  | 'NEEDS_HUMAN';

export type Movement = 'diagnose' | 'plan' | 'gate' | 'act' | 'verify' | 'undo';

export type EntryStatus = 'running' | 'done' | 'failed' | 'waiting' | 'note';

/** One line of a run's timeline. Times are ISO 8601 in UTC. */
export interface TimelineEntry {
  title: string;
  movement: Movement;
  status: EntryStatus;
  startedAt: string;
  endedAt?: string;
  detail?: string;
}

export interface PlannedAction {
  action: string;
  target: string;
  /** How many things it touches, where that can be counted. */
  count?: number;
  detail?: string;
}

export interface Plan {
  /** First 12 hex digits of the SHA-256 over the canonical JSON of everything else in the plan. */
  hash: string;
  actions: PlannedAction[];
  warnings: string[];
}

export interface Approval {
  plan: string;
  by: string;
  at: string;
  note?: string;
  /** Fingerprint of the key that signed it; where there is none, the name is only claimed. */
  key?: string;
  /** Client that sent it, as it calls itself. Known from the history. */
  identity?: string;
  /** Who that was, as the server found out. Not every server says so. */
  principal?: string;
}

/** Something that a run changed and did not undo. */
export interface Change {
  /** Title of the step. */
  step: string;
  at: string;
  /**
   * `irreversible`: nothing brings it back. `kept`: it was finished, and its way back is given up. `harmless`: it stays
   * beside what is there, as a backup does.
   */
  kind: 'irreversible' | 'kept' | 'harmless';
  what: string;
  /** False where the step began and it is not known how far it came. */
  done: boolean;
}

export interface RunReport {
  runbook: string;
  title: string;
  workflowId: string;
  runId: string;
  service: string;
  /** Of the service, where the runbook has to do with one. */
  environment?: string;
  mode: Mode;
  startedBy: string;
  /** Who had a schedule start it, where that is known: `startedBy` is the schedule. */
  triggeredBy?: string;
  startedAt: string;
  endedAt?: string;
  outcome?: Outcome;
  /** One sentence: what came of it, or what it waits for. */
  summary: string;
  plan?: Plan;
  approvals: Approval[];
  timeline: TimelineEntry[];
  /** Measured facts, e.g. { rtoSeconds: 12.4 }. */
  facts: Record<string, string | number | boolean>;
  /** What it changed and did not undo; absent where there is nothing. */
  changes?: Change[];
  /** Of PARTIAL: what it would have ended as, had nothing stayed. */
  instead?: Outcome;
  /** Of a run that leads an incident. */
  incident?: IncidentRecord;
}

/** What a run waits for from a person, as the `status` query answers it. */
export interface Waiting {
  kind: 'approval' | 'decision' | 'task' | 'paused';
  id: string;
  question: string;
  choices?: string[];
  /** Those of them that change nothing, or stop: anybody may take them. */
  harmless?: string[];
  /** Answers that let something happen must be signed. */
  mustBeSigned?: boolean;
  expiresAt: string;
  /** Name and example argument of the Update that answers it. */
  update: { name: string; argument: Record<string, string> };
}

/** A message that a run takes although it does not wait for it, e.g. that somebody takes command of an incident. */
export interface Offer {
  /** Name of the Update. */
  name: string;
  what: string;
  argument: Record<string, string>;
}

export interface RunStatus extends RunReport {
  waiting: Waiting[];
  /** Whose signatures are taken. */
  signers?: { name: string; fingerprint: string }[];
  offers?: Offer[];
  /** Markdown of the runbook's own, for Current Details. */
  sections?: string[];
}
