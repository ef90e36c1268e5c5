import type { Session } from './database';
import type { MeasuredLock } from './locks';

export interface MigrationRef {
  name: string;
  /** Of the up script; an apply refuses a file that changed since. */
  sha256: string;
  /** Of its way back, null where there is none. */
  downSha256: string | null;
}

/** What makes it the same migration with the same ways there and back: for comparisons, and part of what is approved. */
export function identityOf({ name, sha256, downSha256 }: MigrationRef): string {
  return `${name}:${sha256}:${downSha256}`;
}

export interface Hazard {
  /** Path of the script that it is in. */
  migration: string;
  line: number;
  level: 'error' | 'warning';
  rule: string;
  message: string;
}

export interface Migration extends MigrationRef {
  /** Path of its script, where it is not called like the migration. */
  file?: string;
  /** What its scripts say, on one line and cut, without comments, passwords and long literals. */
  sql?: { up: string; down: string | null };
  statements: number;
  /** False where a statement refuses to run inside a transaction (CREATE INDEX CONCURRENTLY, VACUUM ...). */
  transactional: boolean;
  /** How long the configuration lets it take, up or down, all its statements together. */
  permittedMs?: number;
  hazards: Hazard[];
}

export interface MigrationSet {
  /** In the order in which they will be applied. */
  pending: Migration[];
  /** Requested but already applied with the same content. */
  applied: string[];
  /** Files that could be taken for migrations and are none. */
  skipped?: { file: string; why: string }[];
  /** How many there are beside those. */
  moreSkipped?: number;
  /** Not applied and not asked for, although they come before what was. */
  earlier?: string[];
  /** There is no table yet. */
  empty?: true;
}

/** What a copy of a backup lacks of the migrations of its database. */
export interface MissingMigrations {
  /** Null where it is not known. */
  count: number | null;
  /** In the order in which they were applied, at most a hundred. */
  names: string[];
  /** The live database cannot be asked: these are all that lie in the folder and are not in the copy. */
  byFolder: boolean;
  problem?: string;
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
  /** What its statements locked inside transactions, at most 20, what was not predicted first. */
  locks?: MeasuredLock[];
}

export interface InvariantResult {
  name: string;
  ok: boolean;
  violations: number;
  sample: string;
}
