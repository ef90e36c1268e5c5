import { duration } from '../../../contract/text';
import { causeOf, type PlanDraft, type Run, runbook } from '../../kit';
import type { drillRestoreCard } from './card';
import { applyMissing, lookForMissing, missingWarnings } from './missing-migrations';
import { judgeObjectives } from './objectives';
import { chooseBackup, describeAge, passedOver } from '../choose-backup';
import { listBackups, obtainBackup } from '../obtain-backup';
import { prepareRestore, tellNewIdentity, verifyRestorable, type Prepared } from '../prepare-restore';
import { describeReplication, replicationReminder } from '../replication';
import { drillIntoScratch } from '../scratch-copy';
import { takeOver } from '../take-over';
import { describeShrunk } from '../take-backup';
import type { BackupListEntry } from '../../../contract/backup';
import type { MissingMigrations } from '../../../contract/migration';
import { type Place, targetOf } from '../../../contract/place';

/** Restores a backup where it can hurt nobody, proves that it is whole, and measures RTO and RPO. */
export const drillRestore = runbook<typeof drillRestoreCard>('drillRestore', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const startedAt = Date.now();

  const all = await listBackups(run, place, input.recoveryPoint);
  const oldest = new Date(startedAt - input.windowDays * 86_400_000).toISOString();
  const eligible =
    input.recoveryPoint === 'random' ? all.filter(({ snapshotAt }) => snapshotAt >= oldest) : all;
  const backup = chooseBackup(eligible, input.recoveryPoint);
  run.note('Recovery point', describeAge(backup));
  for (const why of passedOver(all, backup)) run.note('Newer, and passed over', why);
  await run.plan({
    actions: [
      {
        action: 'restore into a disposable cluster',
        target: `a copy of ${targetOf(place)}`,
        detail: describeAge(backup),
      },
      { action: 'validate, measure, drop', target: 'the copy' },
    ],
    facts: { backup: backup.backupId },
  });

  // The fetch is part of the drill: a copy that does not come back is none.
  const from = input.from ?? (backup.where?.includes('offsite') ? 'offsite' : 'disk');
  const fetched = await obtainBackup(run, backup, from);
  await askLiveServer(run, place, backup.backupId);
  const copy = await drillIntoScratch(run, place, backup.backupId);
  copy.validation.unseen?.forEach((sentence) => run.note('What this drill cannot see', sentence));
  const shrunk = describeShrunk(backup);
  if (shrunk !== undefined) run.note('Fewer rows than in the backup before', shrunk);
  await judgeObjectives(run, {
    drawn: backup,
    backups: all,
    lostAt: startedAt,
    fetchMs: fetched?.durationMs ?? 0,
    copy,
  });
  if (input.promote) {
    const missing = await lookForMissing(run, place, copy);
    await promote(run, place, backup, { missing, startedBy: input.startedBy });
  }
  const end = input.promote ? ', and it took over' : '';
  return `${backup.backupId} was restored in ${duration(copy.restore.durationMs)}, ${copy.validation.checks.length} checks held${end}`;
});

/** A drill is wanted most while the live server is away: then it proves the backup, and says what it could not ask. */
const AWAY = ['DatabaseUnreachable', 'WrongDatabase', 'AuthenticationFailed'];

/** The copy is on another server: what the live one lacks is asked there. */
async function askLiveServer(run: Run, place: Place, backupId: string): Promise<void> {
  try {
    const { warnings, replication } = await verifyRestorable(run, place, backupId);
    const left = replication && describeReplication(replication);
    for (const why of [...warnings, ...(left === undefined ? [] : [left])])
      run.note('A restore over the live database', why);
  } catch (error) {
    const { type, message } = causeOf(error);
    if (!AWAY.includes(type)) throw error;
    run.note('Whether the live server would take it is not known', message, { failed: true });
  }
}

/** The drilled cluster is never promoted: it ran without durability. The backup is restored again onto the live server. */
async function promote(
  run: Run,
  registered: Place,
  drilled: BackupListEntry,
  { missing, startedBy }: { missing: MissingMigrations | undefined; startedBy: string },
): Promise<void> {
  const target = targetOf(registered);
  const actions = ({ live, backup }: Omit<Prepared, 'loss'>): PlanDraft['actions'] => [
    { action: 'restore again onto the durable server', target, detail: backup.backupId },
    live.condition === 'missing'
      ? { action: 'give it the name of the live database', target, detail: live.database }
      : { action: 'stop writes and swap, keeping the former database', target },
  ];
  const prepared = await prepareRestore(run, registered, drilled, actions, missingWarnings(missing));
  const { place, live, backup, loss } = prepared;
  await run.exclusively(
    target,
    async (fence) => {
      await run.announce(
        `Maintenance: ${target} is switched to the restored copy of ${backup.backupId}; no writes are taken until that is done.`,
      );
      await takeOver(run, place, { backupId: backup.backupId, fence, live, loss });
    },
    live.fenceToken,
  );
  const next = `${tellNewIdentity(run, prepared)}${replicationReminder(live)}`;
  const after = await applyMissing(run, place, missing, startedBy);
  await run.announce(
    `${target} runs on the restored copy of ${backup.backupId} and takes writes again${next}${after}.`,
  );
}
