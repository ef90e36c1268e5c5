import { duration } from '../../../contract/text';
import { type Run, runbook } from '../../kit';
import type { drillRestoreCard } from './card';
import { chooseBackup, describeAge, describeLoss } from '../choose-backup';
import { databaseIn } from '../names';
import { restoreIntoScratch, type RestoredCopy } from '../scratch-copy';
import { takeOver } from '../take-over';
import type { BackupListEntry } from '../../../contract/backup';
import { type Place, targetOf } from '../../../contract/place';

// Measured: the disposable cluster restores up to 1.4 times faster than a durable one.
const DURABLE_FACTOR = 1.4;
/** Swap, reconnect and a look at the health of the application. */
const SWITCH_SECONDS = 30;

/** Restores a backup where it can hurt nobody, proves that it is whole, and measures RTO and RPO. */
export const drillRestore = runbook<typeof drillRestoreCard>('drillRestore', async (input, run) => {
  const place = { service: input.service, environment: input.environment };
  const startedAt = Date.now();

  const all = await run.step('List the backups', (act) => act.listBackups(place), {
    describe: (found) => `${found.length} backups`,
  });
  const oldest = new Date(startedAt - input.windowDays * 86_400_000).toISOString();
  const eligible =
    input.recoveryPoint === 'random' ? all.filter(({ snapshotAt }) => snapshotAt >= oldest) : all;
  const backup = chooseBackup(eligible, input.recoveryPoint);
  run.note('Recovery point', describeAge(backup));
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

  const copy = await restoreIntoScratch(run, place, backup.backupId);
  const { rtoSeconds, rpoSeconds } = measure(run, backup, copy, startedAt);
  const objective = {
    rtoSeconds: run.objective('rtoSeconds'),
    rpoSeconds: run.objective('rpoSeconds'),
  };
  await run.verify(
    'Objectives',
    async () => ({ rtoSeconds, rpoSeconds }),
    (measured) => ({
      ok: measured.rtoSeconds <= objective.rtoSeconds && measured.rpoSeconds <= objective.rpoSeconds,
      detail:
        `RTO ${duration(measured.rtoSeconds * 1_000)} estimated, objective ${duration(objective.rtoSeconds * 1_000)}; ` +
        `RPO ${duration(measured.rpoSeconds * 1_000)}, objective ${duration(objective.rpoSeconds * 1_000)}`,
    }),
  );
  if (input.promote) await promote(run, place, backup);
  const end = input.promote ? 'and took over' : 'and was dropped';
  return `${backup.backupId} was restored in ${duration(copy.restore.durationMs)}, ${copy.validation.checks.length} checks held, ${end}`;
});

/** Restore, validation and RTO are reported apart: the time of a cluster without durability is not the RTO. */
function measure(
  run: Run,
  backup: BackupListEntry,
  { restore, validation }: RestoredCopy,
  failureAt: number,
) {
  const restoreSeconds = restore.durationMs / 1_000;
  const validationSeconds = validation.durationMs / 1_000;
  const rtoSeconds = Math.round(restoreSeconds * DURABLE_FACTOR + validationSeconds + SWITCH_SECONDS);
  const rpoSeconds = Math.max(0, Math.round((failureAt - Date.parse(backup.snapshotAt)) / 1_000));
  Object.entries({ restoreSeconds, validationSeconds, estimatedRtoSeconds: rtoSeconds, rpoSeconds }).forEach(
    ([name, value]) => run.fact(name, value),
  );
  run.fact('recoveryPoint', backup.snapshotAt);
  return { rtoSeconds, rpoSeconds };
}

/** The drilled cluster is never promoted: it ran without durability. The backup is restored again onto the live server. */
async function promote(run: Run, place: Place, backup: BackupListEntry): Promise<void> {
  const target = targetOf(place);
  const facts = await run.step('Look at the database', (act) =>
    act.readDatabaseFacts({ database: databaseIn(place), write: true }),
  );
  const lost = await run.step(
    'What would be lost?',
    (act) => act.estimateLostWrites({ ...place, backupId: backup.backupId }),
    {
      describe: describeLoss,
    },
  );
  await run.gate(() => ({
    actions: [
      { action: 'restore again onto the durable server', target, detail: backup.backupId },
      { action: 'swap, keeping the former database', target },
    ],
    warnings: [`this ${describeLoss(lost)}`],
    facts: {
      backup: backup.backupId,
      manifest: backup.manifestSha256,
      systemIdentifier: facts.systemIdentifier,
    },
  }));
  if (run.policy.mode === 'auto' && lost.rowsAtMost > 0) {
    const choice = await run.ask(
      `Promoting ${backup.backupId} in ${target} ${describeLoss(lost)}. Promote?`,
      ['promote', 'stop'],
    );
    if (choice === 'stop') return run.reject('decided not to lose these writes');
  }
  await run.announce(
    `Maintenance: ${target} is switched to the restored copy of ${backup.backupId}; writes stop now.`,
  );
  await run.exclusively(
    target,
    (fence) => takeOver(run, place, { backupId: backup.backupId, fence }),
    facts.fenceToken,
  );
  await run.announce(`${target} runs on the restored copy of ${backup.backupId} and takes writes again.`);
}
