import type { BackupListEntry } from '../../../contract/backup';
import { duration } from '../../../contract/text';
import type { Run } from '../../kit';
import { newestOf } from '../choose-backup';
import type { RestoredCopy } from '../scratch-copy';

// Measured: the disposable cluster restores up to 1.4 times faster than a durable one.
const DURABLE_FACTOR = 1.4;
/** Swap, reconnect and a look at the health of the application. */
const SWITCH_SECONDS = 30;

interface Drill {
  drawn: BackupListEntry;
  /** All that there were when the drill began. */
  backups: BackupListEntry[];
  /** When the database would have been lost: the start of the drill. */
  lostAt: number;
  /** How long it took to bring the backup from off site; 0 where it lay on the worker's disk. */
  fetchMs: number;
  copy: RestoredCopy;
}

/**
 * Judges what was measured. The recovery point objective is about the newest backup, with which a restore would begin: the
 * drawn one may be old on purpose. Of the recovery time only a part can be measured here, and the rest is named apart.
 */
export async function judgeObjectives(run: Run, drill: Drill): Promise<void> {
  const { measuredSeconds, estimatedSeconds } = recoveryTime(run, drill);
  const rtoSeconds = measuredSeconds + estimatedSeconds;
  const newest = newestOf(drill.backups);
  const rpoSeconds = newest === undefined ? undefined : ageSeconds(newest, drill.lostAt);
  run.fact('recoveryPoint', drill.drawn.snapshotAt);
  run.fact('recoveryPointAgeSeconds', ageSeconds(drill.drawn, drill.lostAt));
  if (rpoSeconds !== undefined) run.fact('rpoSeconds', rpoSeconds);

  const wanted = { rto: run.objective('rtoSeconds'), rpo: run.objective('rpoSeconds') };
  const recoveryPoint =
    newest === undefined || rpoSeconds === undefined
      ? 'there is no backup that a restore would begin with'
      : `${seconds(rpoSeconds)}, the age of the newest backup ${newest.backupId}`;
  await run.verify(
    'Objectives',
    async () => ({ rtoSeconds, rpoSeconds }),
    () => ({
      ok: rtoSeconds <= wanted.rto && rpoSeconds !== undefined && rpoSeconds <= wanted.rpo,
      detail:
        `RTO ${seconds(rtoSeconds)} (${seconds(measuredSeconds)} measured, ${seconds(estimatedSeconds)} estimated for the ` +
        `durable server and the switch), objective ${seconds(wanted.rto)}; RPO ${recoveryPoint}, objective ${seconds(wanted.rpo)}`,
    }),
  );
}

/** The time of a cluster without durability is not that of the server, and nothing is switched in a drill. */
function recoveryTime(run: Run, { copy, fetchMs }: Drill) {
  const fetchSeconds = fetchMs / 1_000;
  const restoreSeconds = copy.restore.durationMs / 1_000;
  const validationSeconds = copy.validation.durationMs / 1_000;
  const measuredSeconds = Math.round(fetchSeconds + restoreSeconds + validationSeconds);
  const estimatedSeconds = Math.round(restoreSeconds * (DURABLE_FACTOR - 1) + SWITCH_SECONDS);
  const facts = {
    ...(fetchMs > 0 ? { fetchSeconds } : {}),
    restoreSeconds,
    validationSeconds,
    rtoMeasuredPartSeconds: measuredSeconds,
    rtoEstimatedPartSeconds: estimatedSeconds,
    estimatedRtoSeconds: measuredSeconds + estimatedSeconds,
  };
  for (const [name, value] of Object.entries(facts)) run.fact(name, value);
  return { measuredSeconds, estimatedSeconds };
}

function ageSeconds({ snapshotAt }: BackupListEntry, at: number): number {
  return Math.max(0, Math.round((at - Date.parse(snapshotAt)) / 1_000));
}

const seconds = (count: number): string => duration(count * 1_000);
