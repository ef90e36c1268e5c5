/** What passes between workflows and activities. Plain data: it ends up in histories, so no secret is ever in it. */

/** A database named, not addressed: credentials stay in the configuration. */
export type DatabaseRef =
  | {
      kind: 'service';
      service: string;
      environment: string;
      /** Another database on the same server, e.g. a copy restored beside the live one. */
      database?: string;
    }
  | {
      kind: 'scratch';
      /** Key of a disposable cluster on the worker's host. */
      scratch: string;
      database: string;
    };

/** Proof that the run holds the lease of a target. Checked at the target by everything that changes it. */
export interface Fence {
  /** Name of the leased target, e.g. `booking/production`. */
  target: string;
  token: number;
}

export interface DatabaseFacts {
  database: string;
  systemIdentifier: string;
  serverVersion: string;
  /** `server_version_num`, e.g. 150018. */
  serverVersionNum: number;
  /** Major version of the client tools on the worker, e.g. 15. */
  clientMajor: number;
  role: string;
  canSeeAllRows: boolean;
  readOnly: boolean;
  sizeBytes: number;
  tables: number;
  /** Highest fencing token found at the target, 0 if it was never fenced. */
  fenceToken: number;
  longTransactions: Session[];
  maxReplicaLagSeconds: number | null;
}

export interface Session {
  pid: number;
  application: string;
  user: string;
  state: string;
  ageSeconds: number;
  query: string;
}

export interface MigrationRef {
  name: string;
  /** Of the up script; an apply refuses a file that changed since. */
  sha256: string;
  /** Of `NAME.down.sql`, null where there is none. */
  downSha256: string | null;
}

export interface Hazard {
  migration: string;
  line: number;
  level: 'error' | 'warning';
  rule: string;
  message: string;
}

export interface Migration extends MigrationRef {
  statements: number;
  /** False where a statement refuses to run inside a transaction (CREATE INDEX CONCURRENTLY, VACUUM ...). */
  transactional: boolean;
  /** The down script destroys or rewrites data (DROP, DELETE, UPDATE, TRUNCATE): undoing with it always asks. */
  downDestroysData: boolean;
  hazards: Hazard[];
}

export interface MigrationSet {
  /** In the order in which they will be applied. */
  pending: Migration[];
  /** Requested but already applied with the same content. */
  applied: string[];
}

export interface ApplyResult {
  migration: string;
  direction: 'up' | 'down';
  alreadyDone: boolean;
  statements: number;
  durationMs: number;
  lockAttempts: number;
  longestBlockMs: number;
  totalBlockMs: number;
  blockers: Session[];
}

/** Object identity -> short hash of its definition; columns, constraints and indexes count as objects. */
export interface SchemaFingerprint {
  digest: string;
  objects: Record<string, string>;
}

export interface SchemaDelta {
  added: Record<string, string>;
  removed: string[];
  changed: string[];
}

export interface InvariantResult {
  name: string;
  ok: boolean;
  violations: number;
  sample: string;
}

export interface BackupSummary {
  service: string;
  environment: string;
  backupId: string;
  /** ISO time of the snapshot: everything committed before it is in the backup. */
  snapshotAt: string;
  lsn: string;
  durationMs: number;
  sizeBytes: number;
  databaseBytes: number;
  files: number;
  tables: number;
  rows: number;
  serverVersionNum: number;
  canary: string | null;
  manifestSha256: string;
  excludedForeignTables: string[];
}

export interface BackupListEntry extends BackupSummary {
  /** ISO time of the last full restore that matched the manifest, null if it was never restored. */
  provenAt: string | null;
  complete: boolean;
}

export interface RestoreResult {
  database: DatabaseRef;
  backupId: string;
  durationMs: number;
  sizeBytes: number;
}

export interface Check {
  name: string;
  ok: boolean;
  detail: string;
}

export interface ValidationReport {
  ok: boolean;
  checks: Check[];
  durationMs: number;
  tables: number;
  rows: number;
}

export interface SwapResult {
  live: string;
  /** The former live database, kept under this name for the way back. */
  previous: string;
  durationMs: number;
}

export interface LostWrites {
  /** Upper bound of rows inserted, updated or deleted since the backup's snapshot. */
  rowsAtMost: number;
  since: string;
  walBytes: number;
}
