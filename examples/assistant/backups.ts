/**
 * When the database was backed up last: daily by the platform, and by runbooks. As a program in the folder of the state:
 * `backups record` copies what BACKUP_PATH names to the platform's storage, `backups fetch` is the way back.
 */
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { readState, writeState } from '../shared/state-file';
import { printAnswer } from '../shared/program';

interface Backups {
  lastBackupAt: string;
}

const HOUR_MS = 3_600_000;
/** One a day, and two hours of patience. */
const MAX_AGE_HOURS = 26;

const fileIn = (directory: string): string => join(directory, 'platform-backups.json');

export function setLastBackup(directory: string, hoursAgo: number): void {
  writeState(fileIn(directory), { lastBackupAt: new Date(Date.now() - hoursAgo * HOUR_MS).toISOString() });
}

/** As the platform says it; that of this night where nobody has said otherwise. */
export function readBackupStatus(directory: string) {
  const state = readState<Backups>(fileIn(directory));
  const lastBackupAt = state?.lastBackupAt ?? new Date(Date.now() - 6 * HOUR_MS).toISOString();
  const ageHours = (Date.now() - Date.parse(lastBackupAt)) / HOUR_MS;
  return { status: ageHours > MAX_AGE_HOURS ? 'overdue' : 'ok', lastBackupAt, ageHours };
}

function main([verb]: string[]): string {
  const { BACKUP_PATH: path, BACKUP_ID: id } = process.env;
  if (path === undefined || id === undefined) throw new Error('BACKUP_PATH and BACKUP_ID are not set');
  const storage = join('platform', id);
  if (verb === 'fetch') {
    cpSync(storage, path, { recursive: true });
    return `${id} is fetched`;
  }
  if (verb !== 'record') throw new Error('expected: backups record | fetch');
  mkdirSync('platform', { recursive: true, mode: 0o700 });
  cpSync(path, storage, { recursive: true });
  setLastBackup('.', 0);
  return `${id} is stored`;
}

if (require.main === module) printAnswer(() => main(process.argv.slice(2)));
