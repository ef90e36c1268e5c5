import { createHash } from 'node:crypto';
import { open, readFile, readdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { serviceOf } from '../../../config/load';
import type { ActivityDeps } from '../../support/deps';
import { fail } from '../../support/failure';
import { summaryOfShrunk } from './shrunk';
import type { BackupPurpose, BackupSummary, Replication } from '../../../contract/backup';

export interface TableEntry {
  schema: string;
  name: string;
  /** In the source: a table that was made anew under its name has another. Older manifests have none. */
  oid?: string;
  /** Counted in the very snapshot that was dumped. */
  rows: number;
  /** Cumulative counters of the source, read before the snapshot: what they grew by since bounds the writes since. */
  inserted: number;
  updated: number;
  deleted: number;
  /** Of all its rows, whatever their order; with `backups.contentDigest`. */
  digest?: string;
}

/** A table with less than half of its rows of the backup before, or none; null where it is gone. */
export interface ShrunkTable {
  table: string;
  rows: number | null;
  before: number;
}

export interface SequenceEntry {
  schema: string;
  name: string;
  lastValue: string | null;
  increment: string;
}

/** What a member of a role may do by that. */
export interface Membership {
  /** Of the role that it is a member of. */
  name: string;
  /** It has the rights of that role. */
  inherits: boolean;
  /** It may act as that role, and give it objects. */
  sets: boolean;
}

export interface RoleEntry {
  name: string;
  superuser: boolean;
  inherit: boolean;
  createRole: boolean;
  createDatabase: boolean;
  login: boolean;
  bypassRls: boolean;
  memberOf: string[];
  /** The same in detail, from PostgreSQL 16; manifests of servers and releases before do not tell. */
  memberships?: Membership[];
  /** What is in the database names it: an owner, a grant, a policy, a setting. Older manifests do not tell. */
  used?: boolean;
  /** Something in the database belongs to it. */
  owner?: boolean;
}

/** What `pg_restore` does not bring back: it belongs to the database as a whole. */
export interface DatabaseProperties {
  owner: string;
  encoding: string;
  collate: string;
  ctype: string;
  /** c = libc, i = ICU, b = builtin. */
  localeProvider: string;
  icuLocale: string | null;
  connectionLimit: number;
  /** Where its objects lie that name none; null for the server's own, which not every role may name. */
  tablespace?: string | null;
  comment: string | null;
  /** ALTER DATABASE ... SET and ALTER ROLE ... IN DATABASE ... SET (role null = every role). */
  settings: { role: string | null; name: string; value: string }[];
  grants: { grantee: string; privilege: string; grantable: boolean }[];
}

export interface FileEntry {
  path: string;
  bytes: number;
  sha256: string;
}

export interface Manifest {
  format: 1;
  /** Absent: scheduled. */
  purpose?: BackupPurpose;
  service: string;
  environment: string;
  backupId: string;
  snapshotAt: string;
  /** Snapshot of the backup before this one, null for the first. */
  previousSnapshotAt: string | null;
  /** Of the server before the snapshot. */
  lsn: string;
  systemIdentifier: string;
  database: string;
  serverVersion: string;
  serverVersionNum: number;
  dumpVersion: string;
  compression: number | string;
  durationMs: number;
  sizeBytes: number;
  databaseBytes: number;
  tables: TableEntry[];
  /** When the counters of the source started; another text means that they bound nothing. */
  countersResetAt: string;
  sequences: SequenceEntry[];
  largeObjects: number;
  /** Cumulative counter of changes of large objects, like those of a table; older manifests have none. */
  largeObjectChanges?: number;
  /** Of the contents of all large objects; with `backups.contentDigest`. */
  largeObjectDigest?: string;
  /** Of the schema in the snapshot, which is in `schema.json`. */
  schemaDigest?: string;
  shrunk?: ShrunkTable[];
  foreignKeys: number;
  /** NOT VALID in the source: they come back so. */
  unvalidatedForeignKeys: string[];
  excludedForeignTables: string[];
  /** Of a safety backup: what could not be read and so is not in it, with the reason. */
  unsaved?: { what: string; why: string }[];
  extensions: { name: string; version: string }[];
  /** Do not come back with a restore: to be looked at by a person before a copy takes over. */
  replicationSlots: string[];
  subscriptions: string[];
  /** Both of them in detail; older manifests have only their names. */
  replication?: Replication;
  publications?: string[];
  /** Those FOR ALL TABLES, which only a superuser may make; older manifests do not tell. */
  publicationsOfAllTables?: string[];
  eventTriggers?: string[];
  /** That any object lies in, other than the server's own. */
  tablespaces?: string[];
  /** `shared_preload_libraries` of the source; null where the role may not read it. */
  preloadLibraries?: string[] | null;
  unloggedTables?: string[];
  properties: DatabaseProperties;
  roles: RoleEntry[];
  globals: { included: boolean; note: string };
  canary: { id: string; writtenAt: string } | null;
  tocEntries: number;
  files: FileEntry[];
}

export const MANIFEST_FILE = 'manifest.json';
export const MANIFEST_HASH_FILE = 'manifest.sha256';
export const PROVEN_FILE = 'proven.json';
export const RELEASED_FILE = 'released.json';
export const SCHEMA_FILE = 'schema.json';
export const DATA_FOLDER = 'data';
export const PARTIAL_SUFFIX = '.partial';

/** Folder of all backups of an environment. Throws InvalidInput where none is configured. */
export function backupsFolder(deps: ActivityDeps, service: string, environment: string): string {
  const { backups } = serviceOf(deps.config, service);
  if (backups === undefined) {
    throw fail(
      'InvalidInput',
      `Service ${service} has no "backups" in the configuration. Add it with a directory.`,
    );
  }
  return join(resolve(deps.config.directory, backups.directory), service, environment);
}

/** Folder of one backup. Throws InvalidInput for an ID that could leave the folder of the backups. */
export function backupFolder(
  deps: ActivityDeps,
  service: string,
  environment: string,
  backupId: string,
): string {
  if (!isBackupId(backupId)) {
    throw fail(
      'InvalidInput',
      `"${backupId}" is no backup ID: letters, digits, dot, dash and underscore, at most 120.`,
    );
  }
  return join(backupsFolder(deps, service, environment), backupId);
}

export function isBackupId(text: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,119}$/.test(text) && !text.endsWith(PARTIAL_SUFFIX);
}

/** A manifest whose own hash was checked, with that hash. */
export interface ReadManifest {
  manifest: Manifest;
  sha256: string;
}

/** Throws BackupCorrupt or BackupIncomplete. */
export async function readManifest(folder: string): Promise<ReadManifest> {
  let text: string;
  let expected: string;
  try {
    text = await readFile(join(folder, MANIFEST_FILE), 'utf8');
    expected = (await readFile(join(folder, MANIFEST_HASH_FILE), 'utf8')).trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw fail(
      'BackupIncomplete',
      `Backup ${folder} has no readable manifest (${code}): it was never finished or was damaged.`,
    );
  }
  return parseManifest(text, expected, folder);
}

/** Throws BackupCorrupt where the text is not what its hash says. */
export function parseManifest(text: string, expected: string, where: string): ReadManifest {
  const sha256 = createHash('sha256').update(text).digest('hex');
  if (sha256 !== expected) {
    throw fail(
      'BackupCorrupt',
      `The manifest of backup ${where} was changed: SHA-256 ${sha256} instead of ${expected}.`,
    );
  }
  return { manifest: JSON.parse(text) as Manifest, sha256 };
}

/** Backups of earlier releases say it with their name. */
export function purposeOf({ purpose, backupId }: Pick<Manifest, 'purpose' | 'backupId'>): BackupPurpose {
  return purpose ?? (backupId.endsWith('-before') ? 'safety' : 'scheduled');
}

/** What workflows see of a manifest. */
export function summaryOf(manifest: Manifest, manifestSha256: string): BackupSummary {
  return {
    service: manifest.service,
    environment: manifest.environment,
    backupId: manifest.backupId,
    snapshotAt: manifest.snapshotAt,
    lsn: manifest.lsn,
    durationMs: manifest.durationMs,
    sizeBytes: manifest.sizeBytes,
    databaseBytes: manifest.databaseBytes,
    files: manifest.files.length,
    tables: manifest.tables.length,
    rows: manifest.tables.reduce((sum, { rows }) => sum + rows, 0),
    serverVersionNum: manifest.serverVersionNum,
    canary: manifest.canary?.id ?? null,
    manifestSha256,
    excludedForeignTables: manifest.excludedForeignTables,
    ...(manifest.unsaved === undefined
      ? {}
      : { unsaved: manifest.unsaved.slice(0, 20).map(({ what }) => what) }),
    ...summaryOfShrunk(manifest.shrunk),
  };
}

/** Every file below a folder, relative to it, sorted. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Forces a file or folder to the disk: what was renamed into place must survive a power cut. */
export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
