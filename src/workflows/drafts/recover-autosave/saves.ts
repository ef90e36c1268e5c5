import type { Activities } from '../../../activities';
import type { Protection, Saving } from '../../../activities/drafts/look';
import type { Place } from '../../../contract/place';
import { type Run, type Verdict } from '../../kit';
import { earlierThan } from '../../application/choose-deployment';
import { applicationIn } from '../../application/serving';
import type { Look } from './plan';

/** Of the run. */
export interface Started {
  by: string;
  deployments: Parameters<typeof earlierThan>[1];
}

/** Lets saves succeed again: by a rollback where a deployment is suspected, otherwise by a person. */
export async function mend(run: Run, place: Place, look: Look, { by, deployments }: Started): Promise<void> {
  const { suspect, protection } = look;
  const target = suspect === null ? undefined : earlierThan(suspect.current, deployments);
  if (suspect !== null && target !== undefined) {
    const { outcome, summary } = await run.child('Roll back', 'rollBackDeployment', {
      service: place.service,
      mode: run.policy.mode,
      startedBy: by,
      reason: `${suspect.cause}: ${suspect.evidence}`.slice(0, 500),
      deployment: target.id,
      ...(protection.measure === null ? {} : { from: suspect.current.id, measures: [protection.measure] }),
    });
    if (outcome === 'NEEDS_HUMAN')
      return run.needsHuman(
        protection.saveByHand === null
          ? summary
          : `${summary}; edits may be kept where they are made until somebody has them saved as usual: ${protection.saveByHand}`,
      );
  }
  const since = new Date(Date.now()).toISOString();
  const looks = protection.probe || !protection.localOnly;
  if (looks) {
    const { ok } = await run.check('Do saves succeed?', (act) => savesNow(act, place, protection, since));
    if (ok) return;
  }
  const { saving } = look;
  await run.task(
    `Saves of ${applicationIn(place)} fail: ${saving.detail}. Look at its log, at the disk and the rights of its database, and at the limit of sizes, and let them succeed again. The run then salvages what was lost.`,
    looks
      ? {
          title: 'Do saves succeed again?',
          everyMs: 30_000,
          call: (act) =>
            savesNow(act, place, protection, new Date(Date.now() - protection.settleMs).toISOString()),
        }
      : undefined,
  );
}

/** A save that was tried, and those that were counted since: what nobody knows is no yes. */
export async function savesNow(
  act: Activities,
  place: Place,
  { probe }: Protection,
  since: string,
): Promise<Verdict> {
  const saving = await act.readSaving({ ...place, since });
  if (saving.failing === true || !probe) return { ok: saving.failing === false, detail: saving.detail };
  const tried = await act.probeSave(place);
  return { ok: tried.ok, detail: `a save was tried: ${tried.detail}; ${saving.detail}` };
}

/** Counts saves for a while, and then wants to know. */
export async function verifySaves(run: Run, place: Place, protection: Protection): Promise<Saving> {
  const since = new Date(Date.now()).toISOString();
  const { settleMs } = protection;
  await run.soak(
    'Saves go on succeeding',
    async (act) => {
      const { failing, detail } = await act.readSaving({ ...place, since });
      return { ok: failing !== true, detail };
    },
    { forMs: settleMs, everyMs: Math.max(1_000, Math.ceil(settleMs / 10)) },
  );
  await run.verify(
    'Saves succeed again',
    (act) => savesNow(act, place, protection, since),
    (verdict) => verdict,
  );
  return run.look('Count the saves', (act) => act.readSaving({ ...place, since }));
}
