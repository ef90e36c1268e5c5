import type { RunReport } from '../../src/contract/report';
import type { RunPlan } from './draw';
import type { Write } from './writer';

/** What the judge works with: what a round left in the world, read without the product, and what the product says of it. */
export interface Facts {
  /** Of this round. */
  runs: EndedRun[];
  /** Of those before. */
  earlier: EndedRun[];
  writes: Write[];
  /** Copies of each write in the live database, by its ID. */
  live: Map<string, number>;
  /** Since the beginning: what a run took away with the consent of people. */
  departures: Departure[];
  /** The live database is another one than before the round. */
  replaced: boolean;
  /** Of each database. */
  migrations: MigrationFacts[];
  /** Those that the round made. */
  backups: BackupFacts[];
  /** Fencing tokens as the reports of all runs have them. */
  tokens: { target: string; token: string; workflowId: string }[];
  leases: { target: string; workflowId: string; kept: boolean }[];
  application: { front: string; recommendations: boolean };
  /** Sessions that were short of connections' cause, and are still there. */
  troubleSessions: number;
  /** What runs of this round were to mend, row by row. */
  repairs: Repair[];
  /** Whatever nobody should have left, in words. */
  leftovers: Leftover[];
}

/** One thing that a run was to mend, e.g. a row. */
export interface Repair {
  workflowId: string;
  what: string;
  state: 'as before' | 'mended' | 'half';
  /** How often it was done, less how often that was taken back; undefined where nothing counts it. */
  times: number | undefined;
}

export interface EndedRun {
  plan: RunPlan;
  workflowId: string;
  /** Of Temporal: COMPLETED, FAILED or CANCELLED where the run has said what came of it. */
  status: string;
  /** It ended by itself. */
  inTime: boolean;
  report: RunReport | undefined;
  /** What it was to apply. */
  migration: string | undefined;
  /** In front when it started. */
  front: string;
}

/** A restore: what was committed to the live database within that time may be missing from then on. */
export interface Departure {
  workflowId: string;
  fromMs: number;
  toMs: number;
  /** The upper bound that people were told; undefined where the run never said one. */
  toldAtMost: number | undefined;
  /** What is in the former database; undefined where people have agreed that nothing is kept. */
  kept: Map<string, number> | undefined;
}

export interface MigrationFacts {
  environment: 'production' | 'staging';
  migration: string;
  /** Rows that it has added: each time that it is applied one more. */
  effects: number;
  /** Whole applications in the ledger since it was last taken back whole. */
  ups: number;
  /** The column or index that belongs to it is there, and valid; null where it has none. */
  object: boolean | null;
}

export interface BackupFacts {
  backupId: string;
  snapshotMs: number;
  /** Of each write, as in its files. */
  writes: Map<string, number>;
}

export interface Leftover {
  what: string;
  /** A run that needs a person keeps such things for that person. */
  keptForPeople: boolean;
}

export type Verdict = 'lost' | 'doubled' | 'wrong' | 'leftover';

export interface Finding {
  verdict: Verdict;
  what: string;
}

export const outcomeOf = ({ report }: EndedRun): string => report?.outcome ?? 'UNKNOWN';
