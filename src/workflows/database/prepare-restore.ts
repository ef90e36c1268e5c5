import { bytes, type Run } from '../kit';
import { allHold } from './checks';
import { chooseBackup, describeAge, passedOver } from './choose-backup';
import { listBackups, obtainBackup } from './obtain-backup';
import { bothOf, describeReplication } from './replication';
import {
  concernedTables,
  decideOnLoss,
  describeLive,
  liveWarnings,
  lossText,
  losesSomething,
  readLoss,
  type Loss,
} from './loss';
import type { BackupListEntry, Restorability } from '../../contract/backup';
import type { LiveState } from '../../contract/database';
import { type Place, targetOf } from '../../contract/place';
import type { PlanDraft } from '../kit';

/** What a restore over the live database works with once people have let it. */
export interface Prepared {
  /** With the identity of the server where that is not the registered one. */
  place: Place;
  live: LiveState;
  backup: BackupListEntry;
  loss: Loss;
}

/**
 * Everything that can be known before anything is touched: what there is of the live database, the backup whole, the
 * server fit to take it, what would be lost. Lets people decide on exactly that, and reads it again when they have.
 */
export async function prepareRestore(
  run: Run,
  registered: Place,
  recoveryPoint: string | BackupListEntry,
  actions: (prepared: Omit<Prepared, 'loss'>) => PlanDraft['actions'],
  remarks: string[] = [],
): Promise<Prepared> {
  const target = targetOf(registered);
  let live = await inspect(run, registered);
  const place = live.registered ? registered : { ...registered, systemIdentifier: live.systemIdentifier };
  const { backup, newer } =
    typeof recoveryPoint === 'string'
      ? await choose(run, registered, recoveryPoint)
      : { backup: recoveryPoint, newer: [] };
  const { backupId } = backup;
  // Before anybody is asked, and before writes are stopped for it.
  await run.verify(
    `The files of ${backupId} are whole`,
    (act) => act.verifyBackupFiles({ ...registered, backupId }),
    allHold,
  );
  const { warnings, replication } = await verifyRestorable(run, place, backupId);

  let loss: Loss | undefined;
  let moved: string | undefined;
  await run.gate(async () => {
    // Made again after people have waited: then everything is read again.
    if (loss !== undefined) live = await inspect(run, registered);
    loss = await readLoss(run, place, live, backupId, loss);
    const both = bothOf(live.replication, replication);
    live = { ...live, replication: both };
    moved = describeReplication(both);
    return {
      actions: actions({ place, live, backup }),
      warnings: [
        `this ${lossText(loss, backup.snapshotAt)}`,
        ...concernedTables(loss),
        `the copy beside needs about ${bytes(backup.databaseBytes)} on the disk of the server, and as much again for its WAL; what is free there cannot be asked through SQL`,
        ...newer,
        ...remarks,
        ...liveWarnings(live, place),
        ...(moved === undefined ? [] : [moved]),
        ...warnings,
      ],
      facts: {
        backup: backupId,
        manifest: backup.manifestSha256,
        systemIdentifier: live.systemIdentifier,
        liveDatabase: live.condition,
      },
    };
  });
  const prepared = { place, live, backup, loss: loss! };
  const unattended = run.policy.mode === 'auto' && (losesSomething(prepared.loss) || !live.registered);
  if (unattended || moved !== undefined) {
    const beside = moved === undefined ? '' : `; ${moved}`;
    const decided = await decideOnLoss(run, prepared.loss, {
      question: (told) =>
        `Restoring ${target} (${describeLive(live)}) from ${describeAge(backup)}: this ${lossText(told, backup.snapshotAt)}${beside}. Restore?`,
      read: (before) => readLoss(run, place, live, backupId, before),
    });
    if (decided === undefined) return run.reject(`decided not to restore ${target}`);
    return { ...prepared, loss: decided };
  }
  return prepared;
}

/** Held, and on the disk of the worker: nobody waits for it, or misses it, once writes are stopped. */
async function choose(
  run: Run,
  place: Place,
  recoveryPoint: string,
): Promise<{ backup: BackupListEntry; newer: string[] }> {
  const all = await listBackups(run, place, recoveryPoint);
  const backup = chooseBackup(all, recoveryPoint);
  const newer = passedOver(all, backup).map((why) => `newer, and passed over: ${why}`);
  run.note('Recovery point', [describeAge(backup), ...newer].join('; '));
  await obtainBackup(run, backup);
  return { backup, newer };
}

/** What to know before something is done whose way back is a restore: nothing where the server can take that one. */
export async function unrestorable(run: Run, place: Place, backupId: string): Promise<string[]> {
  const where = targetOf(place);
  const { ok, why } = await run.attempt(() =>
    verifyRestorable(run, place, backupId, `The server of ${where} could take a restore`),
  );
  return ok ? [] : [`there is no way back by a restore until this is put right: ${why}`];
}

/** Whether the server of the live database would take that backup; fails with what keeps it from that. */
export async function verifyRestorable(
  run: Run,
  place: Place,
  backupId: string,
  title = 'The live server can take it',
): Promise<Restorability> {
  return run.verify(
    title,
    (act) => act.checkRestorable({ ...place, backupId }),
    ({ problems }) => ({
      ok: problems.length === 0,
      detail: problems.length === 0 ? 'versions, rights, extensions and roles' : problems.join('; '),
    }),
  );
}

function inspect(run: Run, place: Place): Promise<LiveState> {
  return run.step(`Look at what there is of ${targetOf(place)}`, (act) => act.inspectLive(place), {
    kind: 'long',
    undo: 'read-only',
    describe: describeLive,
  });
}

/** What to do where the server was replaced: until then every other run refuses it. */
export function tellNewIdentity(run: Run, { place, live }: Prepared): string {
  if (live.registered) return '';
  const what = `identity.systemIdentifier: "${live.systemIdentifier}"`;
  run.note(
    'The configuration names the server that was lost',
    `Enter ${what} for ${targetOf(place)} and restart the workers: until then every other run refuses the new server.`,
    { failed: true },
  );
  return `; enter ${what} in the configuration, or every other run refuses the new server`;
}
