import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import type { BackupListEntry, FetchedBackup } from '../../contract/backup';
import type { Place } from '../../contract/place';
import { countOf, duration, type Run } from '../kit';
import { backupsOfAllHosts, keepFromRetention, LISTING } from './on-one-host';

/**
 * The backups on the disks of the workers and off site. Where the storage off site does not answer, those on the disks: a restore must
 * not wait for a storage that it does not need. The timeline says so. Of very many the newest, and what `about` chooses.
 */
export async function listBackups(run: Run, where: Place, about: string): Promise<BackupListEntry[]> {
  const place = { ...where, about };
  const describe = (found: BackupListEntry[]) => countOf(found.length, 'backup');
  try {
    return await run.step('List the backups', backupsOfAllHosts(run, place), { ...LISTING, describe });
  } catch (error) {
    if (!isOffsiteFailure(error)) throw error;
    const title = 'List the backups on the disk, without those off site';
    return run.step(title, backupsOfAllHosts(run, { ...place, only: 'disk' }), { ...LISTING, describe });
  }
}

/**
 * Keeps a chosen backup from the retention until this run has ended, and brings it from off site where the worker's disk lacks
 * it, or where `from` says so. To be called as soon as it is chosen, before anybody is asked about it.
 */
export async function obtainBackup(
  run: Run,
  { service, environment, backupId, where = ['disk'] }: BackupListEntry,
  from?: 'disk' | 'offsite',
): Promise<FetchedBackup | undefined> {
  const ref = { service, environment, backupId };
  await keepFromRetention(run, ref);
  if ((from ?? (where.includes('disk') ? 'disk' : 'offsite')) === 'disk') return undefined;
  return run.step(`Fetch ${backupId} from off site`, (act) => act.fetchBackup(ref), {
    kind: 'long',
    undo: { harmless: `backup ${backupId} on the disk of the worker` },
    describe: ({ detail, durationMs }) => `${detail}, in ${duration(durationMs)}`,
  });
}

function isOffsiteFailure(error: unknown): boolean {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  return cause instanceof ApplicationFailure && cause.type === 'OffsiteFailed';
}
