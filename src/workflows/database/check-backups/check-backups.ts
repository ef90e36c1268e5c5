import type { BackupListEntry, Retained } from '../../../contract/backup';
import { bytes, countOf, duration } from '../../../contract/text';
import { lostHostOf, type Run, runbook, type Verdict } from '../../kit';
import type { checkBackupsCard } from './card';
import { describeAge, isRecoveryPoint, newestOf } from '../choose-backup';
import { backupsOfAllHosts, hostsOf, onHost } from '../on-one-host';
import { describeShrunk } from '../take-backup';
import { type Place, targetOf } from '../../../contract/place';

/** Says whether the backups could be relied on right now. Reads only. A missing answer is a failure. */
export const checkBackups = runbook<typeof checkBackupsCard>('checkBackups', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const target = targetOf(place);

  const backups = await run.verify(`Backups of ${target} exist`, backupsOfAllHosts(run, place), exist);
  const newest = newestOf(backups);
  if (newest === undefined) throw new Error('unreachable: the check above found a complete backup');
  const ageSeconds = await checkAge(run, newest);
  const hosts = hostsOf(backups);
  let verified = 0;
  const offsiteAlone = liesOffsiteAlone(newest);
  const read = input.verify === 'all' ? hosts : offsiteAlone ? [] : hostsOf([newest]);
  for (const host of read) verified += await checkFiles(run, place, input.verify, host);
  run.fact('backupsVerified', verified);
  await checkOffsite(run, place, input.readOffsite);
  await checkRetention(run, place);
  const shrunk = describeShrunk(newest);
  if (shrunk !== undefined) run.note('Fewer rows than in the backup before', shrunk);
  await checkProof(run, backups);
  const age = `newest backup ${newest.backupId} is ${duration(ageSeconds * 1_000)} old`;
  if (!offsiteAlone) return `${age} and whole`;
  return `${age}; it lies off site alone, ${input.readOffsite ? 'read back whole' : 'judged by the sizes of its objects'}`;
});

/** What a disk has of other ones says nothing about it. */
function liesOffsiteAlone({ where }: BackupListEntry): boolean {
  return where !== undefined && !where.includes('disk');
}

function exist(found: BackupListEntry[]): Verdict {
  const complete = found.filter(isRecoveryPoint);
  const broken = found.filter((backup) => !backup.complete);
  const safety = found.length - complete.length - broken.length;
  return {
    // A broken one is told here, before the others are read: which of them it is, and why.
    ok: complete.length > 0 && broken.length === 0,
    detail: [
      `${complete.length} complete`,
      ...(safety > 0 ? [`${countOf(safety, 'safety backup')}`] : []),
      ...broken.slice(0, 5).map(({ backupId, problem }) => `${backupId} is not: ${problem ?? 'damaged'}`),
      ...(broken.length > 5 ? [`nor are ${broken.length - 5} more`] : []),
    ].join(', '),
  };
}

async function checkAge(run: Run, newest: BackupListEntry): Promise<number> {
  const maxAgeSeconds = run.objective('backupMaxAgeSeconds');
  const ageSeconds = Math.round((Date.now() - Date.parse(newest.snapshotAt)) / 1_000);
  run.fact('newestBackupAgeSeconds', ageSeconds);
  await run.verify(
    'The newest is recent enough',
    async () => ageSeconds,
    (age) => ({
      ok: age <= maxAgeSeconds,
      detail: `${describeAge(newest)}; ${duration(age * 1_000)} old, objective ${duration(maxAgeSeconds * 1_000)}`,
    }),
  );
  return ageSeconds;
}

/** A backup that is kept and cannot be restored is none; which one is needed is known only when it is. */
async function checkFiles(
  run: Run,
  place: Place,
  which: 'all' | 'newest',
  host: string | undefined,
): Promise<number> {
  const read = await run.step(
    which === 'all' ? 'Read every backup' : 'Read the newest backup',
    (act) => act.verifyBackups({ ...place, ...onHost(host), which }),
    {
      kind: 'long',
      undo: 'read-only',
      describe: ({ checked, sizeBytes }) => `${countOf(checked, 'backup')}, ${bytes(sizeBytes)}`,
    },
  );
  await run.verify(
    'Their files are whole',
    async () => read,
    ({ checked, damagedCount, damaged }) => ({
      ok: checked > 0 && damagedCount === 0,
      detail:
        damagedCount === 0
          ? `${countOf(checked, 'backup')} with the SHA-256 of their manifests`
          : `${damagedCount} of ${checked} are damaged: ${damaged.map(({ backupId, problem }) => `${backupId}: ${problem}`).join('; ')}`,
    }),
  );
  return read.checked;
}

/** On every host: what was only fetched to one is on no list of those that another one has as well. */
async function checkRetention(run: Run, place: Place): Promise<void> {
  const hosts = await run.look('Which hosts are there?', (act) => act.listHosts());
  for (const host of hosts.length === 0 ? [undefined] : hosts) {
    const title = hosts.length > 1 ? `The retention is kept on ${host}` : 'The retention is kept';
    const dryRun = { ...place, ...onHost(host), dryRun: true } as const;
    await run
      .verify(title, (act) => act.pruneBackups(dryRun), retentionIsKept)
      .catch((error: unknown) => {
        // The list has said that it does not answer.
        if (lostHostOf(error) === undefined) throw error;
      });
  }
}

/** What cannot be applied throws, with the reason; what nobody applies lets the folder grow. */
function retentionIsKept({ offsite, ...onDisk }: Retained): Verdict {
  const places = offsite === undefined ? [onDisk] : [onDisk, offsite];
  const detail = places
    .map(
      ({ deleted, kept, held }, place) =>
        `${place === 0 ? '' : 'off site '}${kept.length} kept, ${held.length} of them for open runs, and ${deleted.length} due for deletion`,
    )
    .join('; ');
  return places.every(({ deleted, kept }) => deleted.length <= kept.length)
    ? { ok: true, detail }
    : { ok: false, detail: `${detail}: nothing applies it. backUpDatabase does` };
}

/** A copy that nobody looks at is found to be missing on the day on which the disk is gone. */
async function checkOffsite(run: Run, place: Place, read: boolean): Promise<void> {
  const seen = await run.step('Look at the copies off site', (act) => act.verifyOffsite({ ...place, read }), {
    kind: 'long',
    undo: 'read-only',
    describe: ({ configured, checked, sizeBytes }) =>
      configured
        ? `${checked} of them, ${bytes(sizeBytes)}${read ? ', read back' : ', by the sizes of their objects'}`
        : 'no backups.offsite is configured',
  });
  if (!seen.configured) return;
  const maxAgeSeconds = run.objective('backupMaxAgeSeconds');
  const { newestSnapshotAt, damagedCount, damaged } = seen;
  const ageMs = newestSnapshotAt === null ? undefined : Date.now() - Date.parse(newestSnapshotAt);
  if (ageMs !== undefined) run.fact('newestOffsiteAgeSeconds', Math.round(ageMs / 1_000));
  const newest = ageMs === undefined ? 'there is no complete copy' : `the newest is ${duration(ageMs)} old`;
  await run.verify(
    'The copies off site are whole and recent',
    async () => seen,
    () => ({
      ok: damagedCount === 0 && ageMs !== undefined && ageMs <= maxAgeSeconds * 1_000,
      detail: [
        `${newest}, objective ${duration(maxAgeSeconds * 1_000)}`,
        ...damaged.map(({ backupId, problem }) => `${backupId}: ${problem}`),
        ...(damagedCount > damaged.length ? [`${damagedCount} in all are damaged`] : []),
      ].join('; '),
    }),
  );
}

async function checkProof(run: Run, backups: BackupListEntry[]): Promise<void> {
  const maxAgeSeconds = run.policy.objectives?.['provenMaxAgeSeconds'];
  const provenAt = backups
    .filter(({ purpose }) => purpose !== 'safety')
    .map((backup) => backup.provenAt)
    .filter((at) => at !== null)
    .sort()
    .at(-1);
  const ageSeconds =
    provenAt === undefined ? undefined : Math.round((Date.now() - Date.parse(provenAt)) / 1_000);
  if (ageSeconds !== undefined) run.fact('provenAgeSeconds', ageSeconds);
  const seen =
    ageSeconds === undefined ? 'no backup was ever proven' : `proven ${duration(ageSeconds * 1_000)} ago`;
  if (maxAgeSeconds === undefined) {
    if (ageSeconds === undefined)
      run.note('No backup was ever proven', 'run drillRestore: only a restore that was checked is proof');
    return;
  }
  await run.verify(
    'A backup was proven lately',
    async () => ageSeconds,
    (age) => ({
      ok: age !== undefined && age <= maxAgeSeconds,
      detail: `${seen}, objective ${duration(maxAgeSeconds * 1_000)}`,
    }),
  );
}
