import type { BackupListEntry } from '../../../contract/backup';
import { type Place, targetOf } from '../../../contract/place';
import { describeAge } from '../../database/choose-backup';
import { utc } from '../../kit';
import { readLive, recoveryPoints, whyRestore, type Situation } from './assess';
import { recoverBy, settlePart, type Recovery } from './recovery';

const PART = 'the database';
const ASK_AGAIN_MS = 15_000;
/** Nobody said no, and nothing is half done: another backup may do better. */
const MAY_BE_THE_BACKUP = ['FAILED', 'ROLLED_BACK'];

/** Where the data is now, where all of it is. */
export interface Restored {
  /** With the identity of the server, where that is not the registered one. */
  place: Place;
  from?: BackupListEntry;
}

/** Brings the database back where it is gone, emptied or damaged. Undefined where that did not come about. */
export async function recoverDatabase(recovery: Recovery, found: Situation): Promise<Restored | undefined> {
  const situation = await whenItAnswers(recovery, found);
  const { place } = recovery;
  const { found: live } = situation.live;
  if (live === undefined) return undefined;
  const here = live.registered ? place : { ...place, systemIdentifier: live.systemIdentifier };
  const why = whyRestore(situation);
  if (why === undefined) return { place: here };
  const from = await restore(recovery, situation, why);
  return from === undefined ? undefined : { place: here, from };
}

/** Without its server nothing can be restored, and which of its provider's buttons to press is for a person. */
async function whenItAnswers(recovery: Recovery, situation: Situation): Promise<Situation> {
  const { run, place } = recovery;
  if (situation.live.found !== undefined) return situation;
  const target = targetOf(place);
  await run.task(
    `The database server of ${target} cannot be worked with: ${situation.live.why}. Start it, or put a new, empty server in its place under the same address; recoverDatabaseConnections tells what it meets. This run goes on when it answers.`,
    {
      title: 'Does it answer?',
      everyMs: ASK_AGAIN_MS,
      call: async (act) => {
        const { condition } = await act.inspectLive({ ...place, briefly: true });
        return { ok: true, detail: `it answers; the database is ${condition}` };
      },
    },
  );
  const live = await readLive(run, place);
  if (live.found === undefined) recovery.open.push(`${PART}: ${live.why}`);
  else recovery.done.push('the server of the database answers again');
  return { ...situation, live };
}

/** From the newest, which the restore itself proves before it takes over; where that cannot be, from one that was proven. */
async function restore(
  recovery: Recovery,
  situation: Situation,
  why: string,
): Promise<BackupListEntry | undefined> {
  const { run, place, beganAtMs } = recovery;
  const points = recoveryPoints(situation);
  if (points.length === 0) {
    const { backups } = situation;
    const known =
      backups.found === undefined
        ? `which backups there are is not known (${backups.why})`
        : 'there is no complete backup, on no disk of a worker and not off site';
    recovery.open.push(
      `${PART}: ${why}; ${known}. Ask the provider of the server for its snapshots, and keep what is left of the database as it is`,
    );
    return undefined;
  }
  for (const [index, backup] of points.entries()) {
    const child = await recoverBy(
      recovery,
      { title: `Restore from ${backup.backupId}`, why },
      'restoreDatabase',
      // A bad deployment must not have the data taken away again: this run looks at the application, after this.
      { environment: place.environment, recoveryPoint: backup.backupId, judgeHealth: false },
    );
    const last = index === points.length - 1;
    if (!last && MAY_BE_THE_BACKUP.includes(child.outcome)) {
      run.note(`${backup.backupId} could not be restored`, child.summary, { failed: true });
      recovery.remarks.push(`${backup.backupId} could not be restored: ${child.summary}`);
      continue;
    }
    if (!settlePart(recovery, PART, child)) return undefined;
    run.fact('restoredFrom', describeAge(backup));
    // Of the data, as of the moment when the outage began.
    run.fact('rpoSeconds', Math.max(0, Math.round((beganAtMs - Date.parse(backup.snapshotAt)) / 1_000)));
    recovery.done.push(`${PART}, with the data of ${utc(backup.snapshotAt)} UTC (${child.summary})`);
    return backup;
  }
  return undefined;
}
