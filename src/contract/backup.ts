import type { DatabaseRef, Check, Place } from './place';

/** One backup of an environment: its ID alone is no backup, another environment may have the same. */
export interface BackupRef extends Place {
  backupId: string;
}

export interface BackupSummary extends BackupRef {
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
  /** Of a safety backup: what could not be read and so is not in it, at most 20. */
  unsaved?: string[];
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

export interface ValidationReport {
  ok: boolean;
  checks: Check[];
  durationMs: number;
  tables: number;
  rows: number;
}

export interface SwapResult {
  live: string;
  /** The former live database, kept under this name for the way back; null where there was none. */
  previous: string | null;
  durationMs: number;
}

export interface LostWrites {
  /** Upper bound of rows and parts of large objects that were inserted, updated or deleted since the backup's snapshot. */
  rowsAtMost: number;
  /** Sequences that gave out values since; a restore carries the copy's past them. */
  sequences: number;
  since: string;
  walBytes: number;
}

/** Whether a server could take a restore, in sentences for people. */
export interface Restorability {
  /** Each of them would end the restore; says what to do. */
  problems: string[];
  /** What the restore does beside, or leaves out. */
  warnings: string[];
}

/** Whether a database stopped being written to. */
export interface QuietResult {
  quiet: boolean;
  /** Changes of rows while it was watched. */
  changes: number;
  /** Sessions that had written and not yet committed at the end, at most 10. */
  writers: string[];
}
