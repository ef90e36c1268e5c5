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
