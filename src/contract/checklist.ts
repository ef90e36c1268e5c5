/** What the daily checklist says, and what one keeps for the next. */

export type Color = 'green' | 'yellow' | 'red' | 'not configured';

/** Of what there may be hundreds of, no more are read. */
export const MOST = 10;

/** One line of the checklist. */
export interface ChecklistItem {
  name: string;
  color: Color;
  /** What was seen. */
  figure: string;
  /** What was wanted. */
  objective: string;
  /** What to do about it; absent where it is green. */
  next?: string;
}

/** What a server counts on and on: the next checklist tells from it what came since. */
export interface Counters {
  /** ISO time. */
  at: string;
  /** ISO time up to which the log was read; absent where it never was. */
  logs?: string;
  /** Absent where they could not be read. */
  deadlocks?: number;
  /** Calls and milliseconds by the ID of a statement; absent where nobody counts them. */
  statements?: Record<string, [calls: number, totalMs: number]>;
}

/** Among the fields of a report. */
export interface ChecklistRecord {
  items: ChecklistItem[];
  counters: Counters;
}
