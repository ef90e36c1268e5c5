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
  /** Tables that lost more than half of their rows, or all, since the backup before: at most 20, in words. */
  shrunk?: string[];
  /** How many there are. */
  shrunkTables?: number;
}

/** A safety backup is what a restore found before it took over: a way back, and no recovery point. */
export type BackupPurpose = 'scheduled' | 'safety';

export interface BackupListEntry extends Omit<BackupSummary, 'excludedForeignTables'> {
  /** On whose disk it was found. */
  workerHost?: string;
  purpose: BackupPurpose;
  /** ISO time at which a person let go of a safety backup: the next retention deletes it. Null until then. */
  releasedAt: string | null;
  /** ISO time of the last drill, rehearsal or restore whose copy matched the manifest; null if there was none. */
  provenAt: string | null;
  complete: boolean;
  /** `disk` is that of the worker who was asked. */
  where: ('disk' | 'offsite')[];
  /** Why it is not complete. */
  problem?: string;
}

export interface RestoreResult {
  database: DatabaseRef;
  backupId: string;
  durationMs: number;
  sizeBytes: number;
  /** What came back otherwise than it was, in words. */
  remarks?: string[];
  /** Of the disposable cluster, where it was restored with the rights of ours on the live server and those are no superuser's. */
  role?: string;
}

export interface ValidationReport {
  ok: boolean;
  checks: Check[];
  /** Kinds of damage that no check here can see, a sentence each. */
  unseen?: string[];
  durationMs: number;
  tables: number;
  rows: number;
}

/** What applying the retention came to, in one place. */
export interface Pruned {
  deleted: string[];
  kept: string[];
  /** Due, and kept because a run that is still open has chosen them. */
  held: string[];
}

/** What applying it came to, on the worker's disk and off site. */
export interface Retained extends Pruned {
  /** Due as well, and kept because the storage lets nobody delete them yet. */
  offsite?: Pruned & { locked: string[] };
}

/** What was seen of the copies off site. */
export interface OffsiteReport {
  configured: boolean;
  checked: number;
  sizeBytes: number;
  /** ISO time of the newest copy that is complete; null where there is none. */
  newestSnapshotAt: string | null;
  damagedCount: number;
  /** A few of them where there are many. */
  damaged: { backupId: string; problem: string }[];
}

export interface FetchedBackup {
  durationMs: number;
  sizeBytes: number;
  /** One line for the timeline. */
  detail: string;
}

/** What reading backups byte by byte came to. */
export interface VerifiedBackups {
  checked: number;
  sizeBytes: number;
  damagedCount: number;
  /** A few of them where there are many. */
  damaged: { backupId: string; problem: string }[];
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
  /** Sequences that gave out values since; a restore carries the copy's past them. Null where they cannot be read. */
  sequences: number | null;
  since: string;
  walBytes: number;
  /** That changed since, those with the most changes first, at most ten; undefined where nobody can tell. */
  tables?: string[];
  moreTables?: number;
}

/** Whether a server could take a restore, in sentences for people. */
export interface Restorability {
  /** Each of them would end the restore; says what to do. */
  problems: string[];
  /** What the restore does beside, or leaves out. */
  warnings: string[];
  /** That the database had when it was backed up. */
  replication?: Replication;
}

/** What moves changes out of a database or into it. No restore brings it back: it belongs to the former database. */
export interface Replication {
  slots: ReplicationSlot[];
  subscriptions: Subscription[];
}

/** A logical slot: somebody reads the changes of the database from it. */
export interface ReplicationSlot {
  name: string;
  /** Null where a backup of an earlier release does not tell. */
  plugin: string | null;
  twoPhase?: boolean;
  /** From 17. */
  failover?: boolean;
  /** It was there when the database was backed up, and is no more. */
  gone?: boolean;
}

/** The database takes changes from another one. */
export interface Subscription {
  name: string;
  /** Null where a backup of an earlier release does not tell. */
  publications: string[] | null;
  /** On the other server; null where it has none. */
  slot?: string | null;
  enabled?: boolean;
  gone?: boolean;
}

/** Whether a database stopped being written to. */
export interface QuietResult {
  quiet: boolean;
  /** How long nothing may move to be called quiet. */
  quietMs: number;
  /** Changes of rows while it was watched. */
  changes: number;
  /** Sessions that had written and not yet committed at the end, at most 10. */
  writers: string[];
}
