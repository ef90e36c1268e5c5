import { ApplicationFailure } from '@temporalio/workflow';
import type { Activities } from '../../activities';
import type { BackupListEntry, BackupRef } from '../../contract/backup';
import { type Place, targetOf } from '../../contract/place';
import { laterOf } from '../../contract/recovery-point';
import { lostHostOf, type Run } from '../kit';
import { nameForRun } from './names';

const MAX_HOSTS = 3;

/** A disposable cluster; where it lies is known once it is open. */
export interface Cluster {
  scratch: string;
  directory?: string;
}

/**
 * Runs `body`, which works with a disposable cluster of that name. Where the host of the cluster is lost, again from its
 * start with a new one, on a host that has the backup. What lies on the lost disk may run on there: the timeline says so.
 */
export async function onOneHost<T>(
  run: Run,
  ref: BackupRef,
  body: (cluster: Cluster) => Promise<T>,
): Promise<T> {
  for (let number = 1; ; number += 1) {
    const cluster: Cluster = { scratch: number === 1 ? nameForRun() : `${nameForRun()}-${number}` };
    try {
      return await body(cluster);
    } catch (error) {
      const host = lostHostOf(error);
      if (host === undefined || number === MAX_HOSTS) throw error;
      run.note(
        `Host ${host} is lost`,
        `The disposable cluster ${cluster.directory ?? cluster.scratch} on it is not known to be dropped; it is a copy of ${targetOf(ref)}. What was done there is done again on another host.`,
        { failed: true },
      );
      await findElsewhere(run, ref, host);
    }
  }
}

async function findElsewhere(run: Run, ref: BackupRef, lost: string): Promise<void> {
  const { service, environment, backupId } = ref;
  const other = (await run.look('Which hosts are there?', (act) => act.listHosts())).find(
    (host) => host !== lost,
  );
  const found = await run.step(
    `Look for ${backupId} on another host`,
    backupsOfAllHosts(run, { service, environment, about: backupId }, lost),
    { ...LISTING, describe: (backups) => describeWhere(backups.find((one) => one.backupId === backupId)) },
  );
  const entry = found.find((one) => one.backupId === backupId && one.complete);
  if (entry?.workerHost !== undefined) {
    await keepFromRetention(run, { service, environment, backupId });
    return;
  }
  if (entry === undefined || other === undefined) {
    throw ApplicationFailure.nonRetryable(
      `${backupId} of ${targetOf(ref)} lies on host ${lost} alone, which is lost. Start its worker again, or choose another backup.`,
      'HostLost',
    );
  }
  await run.step(
    `Fetch ${backupId} from off site`,
    (act) => act.fetchBackup({ service, environment, backupId, workerHost: other }),
    {
      kind: 'long',
      undo: { harmless: `backup ${backupId} on the disk of ${other}` },
      describe: ({ detail }) => detail,
    },
  );
}

/** Keeps a backup until this run has ended, on the disk that it is used from and off site. */
export async function keepFromRetention(run: Run, ref: BackupRef): Promise<void> {
  await run.step('Keep it from the retention', (act) => act.holdBackup(ref), {
    kind: 'mutate',
    undo: 'disposable',
  });
}

function describeWhere(entry: BackupListEntry | undefined): string {
  return entry?.workerHost ?? entry?.where.join(', ') ?? 'not there';
}

/** Every file of every backup is looked for: minutes where there are very many. */
export const LISTING = { kind: 'long', undo: 'read-only' } as const;

/** The backups on the disks of all hosts that workers run on, and off site; of one that two of them see, one entry. */
export function backupsOfAllHosts(
  run: Run,
  place: Place & { only?: 'disk'; about?: string },
  without?: string,
): (act: Activities) => Promise<BackupListEntry[]> {
  return async (act) => {
    const hosts = (await act.listHosts()).filter((host) => host !== without);
    // Nobody else is there: whoever comes first.
    if (hosts.length === 0) return act.listBackups(place);
    const lists = await Promise.all(
      hosts.map((workerHost) =>
        act.listBackups({ ...place, workerHost }).catch((error: unknown) => {
          if (lostHostOf(error) === undefined) throw error;
          run.note(
            `Host ${workerHost} does not answer`,
            'Backups that lie on its disk alone are not among those listed.',
            { failed: true },
          );
          return [];
        }),
      ),
    );
    return oneOfEach(lists.flat());
  };
}

/** Whole rather than damaged, and on a disk rather than off site; proven where it is proven anywhere. */
export function oneOfEach(found: BackupListEntry[]): BackupListEntry[] {
  const byId = new Map<string, BackupListEntry>();
  for (const backup of found) {
    const known = byId.get(backup.backupId);
    const better = known === undefined || worth(backup) > worth(known) ? backup : known;
    const same = known?.manifestSha256 === backup.manifestSha256;
    const provenAt = same ? laterOf(known.provenAt, backup.provenAt) : better.provenAt;
    byId.set(backup.backupId, { ...better, provenAt });
  }
  return [...byId.values()].sort((a, b) => (a.snapshotAt < b.snapshotAt ? 1 : -1));
}

function worth({ complete, workerHost }: BackupListEntry): number {
  return 2 * Number(complete) + Number(workerHost !== undefined);
}

/** The hosts on whose disks these lie; undefined among them: any, as in runs that began before it was known. */
export function hostsOf(backups: BackupListEntry[]): (string | undefined)[] {
  const hosts = backups.map(({ workerHost }) => workerHost).filter((host) => host !== undefined);
  return hosts.length === 0 ? [undefined] : [...new Set(hosts)];
}

/** For the input of an activity that asks one host. */
export const onHost = (workerHost: string | undefined): { workerHost?: string } =>
  workerHost === undefined ? {} : { workerHost };
