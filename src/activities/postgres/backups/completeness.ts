import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ListedBackup } from './backup-store';
import { fail } from '../../support/failure';
import { makeWorkspace } from '../../support/workspace';
import type { Manifest } from './manifest';
import { runTool, type Tools } from '../session/tools';

/** What `pg_restore --list` says is in a dump. */
export interface DumpContents {
  entries: number;
  /** `schema.table` of every table whose rows are in it. */
  tables: Set<string>;
}

/**
 * Lists a dump. That it can be listed proves little ([V]: a truncated data file lists well), that it cannot be
 * proves that it is broken. Throws BackupCorrupt.
 */
export async function listDumpContents(tools: Tools, data: string): Promise<DumpContents> {
  const lines = (await readListing(tools, data)).filter((line) => /^\d+;/.test(line));
  const tables = new Set<string>();
  for (const line of lines) {
    const found = /^\d+; \d+ \d+ TABLE DATA (\S+) (.+) \S+$/.exec(line);
    if (found !== null) tables.add(`${found[1]}.${found[2]}`);
  }
  return { entries: lines.length, tables };
}

/**
 * The lines of `pg_restore --list`: through a file, for the list of a large catalogue is longer than what is kept of a
 * program's output. Throws BackupCorrupt.
 */
export async function readListing(tools: Tools, data: string): Promise<string[]> {
  const workspace = await makeWorkspace();
  try {
    const file = join(workspace, 'list');
    const { exitCode, why } = await runTool(tools, 'pg_restore', ['--list', `--file=${file}`, data]);
    if (exitCode !== 0)
      throw fail('BackupCorrupt', `The dump in ${data} cannot be listed: ${why}. Take another backup.`);
    return (await readFile(file, 'utf8')).split('\n');
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
}

const ownTables = ({ tables }: Manifest) => tables.filter(({ schema }) => schema !== 'durable_runbooks');

/** Whether there is a row that is not our own. */
export function hasRows(manifest: Manifest): boolean {
  return ownTables(manifest).some(({ rows }) => rows > 0);
}

/** Throws BackupIncomplete for a backup without tables or rows: more often the wrong database than an empty one. */
export function checkNotEmpty(manifest: Manifest): void {
  if (hasRows(manifest)) return;
  const where = `${manifest.service}/${manifest.environment}`;
  const own = ownTables(manifest);
  throw fail(
    'BackupIncomplete',
    own.length === 0
      ? `The backup of ${where} has no tables. Check that the URL names the right database.`
      : `The backup of ${where} has ${own.length} tables and not one row. Check the database.`,
  );
}

/**
 * Throws BackupIncomplete for a backup that cannot be what it should: a counted table without data in the dump, or much
 * smaller than the backup before it.
 */
export function checkCompleteness(
  manifest: Manifest,
  contents: DumpContents,
  previous: ListedBackup | undefined,
  minSizeRatio: number,
): void {
  const where = `${manifest.service}/${manifest.environment}`;
  // Names with blanks are written differently in the listing; the restore compares their rows.
  const listed = (name: string): boolean => contents.tables.has(name) || /[^\w.]/.test(name);
  const missing = manifest.tables
    .map(({ schema, name }) => `${schema}.${name}`)
    .filter((name) => !listed(name));
  if (missing.length > 0) {
    throw fail(
      'BackupIncomplete',
      `The dump of ${where} lacks the data of ${missing.slice(0, 10).join(', ')}.`,
    );
  }
  checkSize(manifest, previous, minSizeRatio, where);
}

function checkSize(
  manifest: Manifest,
  previous: ListedBackup | undefined,
  ratio: number,
  where: string,
): void {
  // Sizes under another compression say nothing about the data.
  if (previous === undefined || previous.compression !== manifest.compression) return;
  if (manifest.sizeBytes >= previous.sizeBytes * ratio) return;
  throw fail(
    'BackupIncomplete',
    `The backup of ${where} has ${manifest.sizeBytes} bytes, the one before it (${previous.backupId}) had ${previous.sizeBytes}: ` +
      `less than backups.minSizeRatio ${ratio} of it. If data was removed on purpose, lower minSizeRatio for one backup.`,
  );
}
