/** What is said of statements, indexes and tables between those who look at them and those who change them. */

/** A statement of the application as the server counts it, without the values that it was called with. */
export interface KnownStatement {
  /** As `queryid` of pg_stat_statements; of our own making where it is none of the application. */
  id: string;
  text: string;
  /** Tables of this database that it names, qualified and quoted. */
  tables: string[];
  /** Since the statistics began; 0 where nobody counted. */
  calls: number;
  meanMs: number;
  /** Absent where nobody has parsed it. */
  kind?: 'read' | 'write';
}

/** One index that is to be created or dropped. */
export interface IndexChange {
  kind: 'create' | 'drop';
  /** Qualified and quoted, as is the table. */
  index: string;
  table: string;
  /** As pg_get_indexdef has it. */
  definition: string;
  why: string;
  /** Of the index as it is; 0 where it is none yet. */
  bytes: number;
  /** To create: statements, by ID, that it is meant to speed up. */
  helps: string[];
  /** To drop: it serves no plan whatever the statements are, because an equal one stays or because it is invalid. */
  needless?: boolean;
  /** To drop: it was invalid when it was planned. */
  invalid?: boolean;
  /** What pg_get_indexdef does not have. */
  tablespace: string | null;
  comment: string | null;
}

/** Planned costs of a statement, in the planner's own unit. */
export interface PlannedCost {
  id: string;
  cost: number;
}

export interface IndexReview {
  database: string;
  fenceToken: number;
  /** ISO time since when everything was counted. */
  countedSince: string;
  /** Servers that stream from this one, whose reads nobody counts here. */
  replicas: string[];
  /** Whether pg_stat_statements could be read. */
  statementsSeen: boolean;
  slow: KnownStatement[];
  /** Statements of the tables concerned, the slow ones among them: none of them may become worse. */
  witnesses: KnownStatement[];
  changes: IndexChange[];
  /** What a person has to look at, in sentences, with the statement where there is one. */
  findings: string[];
  /** What could not be seen, and why. */
  warnings: string[];
  settings: { slowMs: number; minGain: number; maxLoss: number; buildTimeoutMinutes: number };
  /** Settings of the planner that differ from those of a new server. */
  planner: Record<string, string>;
}

/** What became of a change on a copy. */
export interface ProvenChange {
  index: string;
  ok: boolean;
  detail: string;
}

export interface IndexProof {
  proven: ProvenChange[];
  /** Statements that could not be planned, and why. */
  unplanned: string[];
  durationMs: number;
}

/** A table and what vacuum has to do with it. */
export interface TableState {
  /** Qualified and quoted. */
  table: string;
  liveRows: number;
  deadRows: number;
  /** Without indexes and without what is stored apart. */
  bytes: number;
  /** Estimated from the statistics of its columns; null where there are none. */
  bloatBytes: number | null;
  /** ISO times; null: never since everything was counted. */
  lastVacuum: string | null;
  lastAutovacuum: string | null;
  autovacuumOff: boolean;
  /** A vacuum of anybody runs on it. */
  running: boolean;
  /** Transactions since its oldest row was frozen, and when autovacuum forces it. */
  age: number;
  freezeMaxAge: number;
}

export interface VacuumReview {
  database: string;
  fenceToken: number;
  countedSince: string;
  /** Above both limits, most dead rows first; no more than may be done at once. */
  due: TableState[];
  /** Tables above both limits that are left for the next run. */
  later?: string[];
  findings: string[];
  warnings: string[];
  settings: { deadShare: number; lockTimeoutSeconds: number; tableTimeoutMinutes: number };
  offPeak: OffPeak;
}

/** Whether a vacuum may begin now. */
export interface OffPeak {
  open: boolean;
  /** Until it is open; 0 while it is. */
  waitMs: number;
  /** Until it closes; null where it is always open. */
  leftMs: number | null;
  /** `01:00-05:00 UTC` */
  window: string;
}
