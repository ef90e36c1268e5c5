import { duration } from '../../../contract/text';
import { runbook } from '../../kit';
import type { checkBackupsCard } from './card';
import { allHold } from '../checks';
import { describeAge } from '../choose-backup';
import { targetOf } from '../../../contract/place';

/** Says whether the backups could be relied on right now. Reads only. A missing answer is a failure. */
export const checkBackups = runbook<typeof checkBackupsCard>('checkBackups', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const target = targetOf(place);
  const backupMaxAgeSeconds = run.objective('backupMaxAgeSeconds');

  const backups = await run.verify(
    `Backups of ${target} exist`,
    (act) => act.listBackups(place),
    (found) => {
      const complete = found.filter((backup) => backup.complete);
      const broken = found.length - complete.length;
      return {
        ok: complete.length > 0,
        detail: `${complete.length} complete${broken > 0 ? `, ${broken} incomplete` : ''}`,
      };
    },
  );
  const newest = backups.filter((backup) => backup.complete)[0];
  if (newest === undefined) throw new Error('unreachable: the check above found a complete backup');

  const ageSeconds = Math.round((Date.now() - Date.parse(newest.snapshotAt)) / 1_000);
  run.fact('newestBackupAgeSeconds', ageSeconds);
  await run.verify(
    'The newest is recent enough',
    async () => ageSeconds,
    (age) => ({
      ok: age <= backupMaxAgeSeconds,
      detail: `${describeAge(newest)}; ${duration(age * 1_000)} old, objective ${duration(backupMaxAgeSeconds * 1_000)}`,
    }),
  );
  await run.verify(
    'Its files are whole',
    (act) => act.verifyBackupFiles({ ...place, backupId: newest.backupId }),
    allHold,
  );
  await run.verify(
    'The retention is kept',
    (act) => act.pruneBackups({ ...place, dryRun: true }),
    ({ deleted, kept }) => ({
      ok: kept.length > 0,
      detail: `${kept.length} kept, ${deleted.length} due for deletion`,
    }),
  );

  const proven = backups.find((backup) => backup.provenAt !== null);
  if (proven?.provenAt == null)
    run.note('No backup was ever restored', 'run drillRestore: only a restore is proof');
  else run.fact('provenAgeSeconds', Math.round((Date.now() - Date.parse(proven.provenAt)) / 1_000));
  return `newest backup ${newest.backupId} is ${duration(ageSeconds * 1_000)} old and whole`;
});
