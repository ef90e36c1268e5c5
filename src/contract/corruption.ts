/** Of the change log. */
export const BRING_BACK_STEP = 'bring rows back';

/** Rows of one table that break a rule. */
export interface Violation {
  /** The rule. */
  name: string;
  /** Qualified and quoted. */
  table: string;
  /** At most `COUNTED_ROWS`. */
  rows: number;
  /** Why it could not be looked at. */
  problem?: string;
}

/** More of them do not change the answer. */
export const COUNTED_ROWS = 10_000;

/** One row that is not as it should be. */
export interface DamagedRow {
  table: string;
  key: string;
  /** Of the live row as it was seen; null where there is none. */
  seen: string | null;
}

/** What of the live database a copy of a backup could mend. */
export interface Comparison {
  rows: DamagedRow[];
  tables: TableComparison[];
  /** Tables whose rows nobody can compare, and why. */
  left: { table: string; why: string }[];
  /** More rows than a run may touch; then `rows` is empty. */
  tooMany: boolean;
  maxRows: number;
  /** Highest fencing token of the live database. */
  fenceToken: number;
  /** What nobody has configured, for the plan. */
  warnings: string[];
}

export interface TableComparison {
  table: string;
  /** In the copy, and not in the live database. */
  missing: number;
  /** In both, breaking a rule, and otherwise in the copy. */
  wrong: number;
  /** Newer than the copy: they stay. */
  newer: number;
}
