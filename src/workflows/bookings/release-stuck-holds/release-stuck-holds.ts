import { sleep } from '@temporalio/workflow';
import type { Activities } from '../../../activities';
import type { ExpiryWorker } from '../../../activities/bookings/expiry-worker';
import type { StuckHolds } from '../../../activities/bookings/stuck-holds';
import type { HoldQueue } from '../../../activities/queues/holds';
import type { Repaired } from '../../../activities/postgres/repair/batches';
import { RELEASE_STEP } from '../../../contract/bookings';
import { type Fence, type Place, targetOf } from '../../../contract/place';
import { uncheckedOf, verifyHealth, verifySmoke } from '../../database/checks';
import { countOf, type PlanDraft, type Run, runbook, utc } from '../../kit';
import { repairedText, repairKey, takeBack } from '../take-back';
import type { releaseStuckHoldsCard } from './card';
import { lookAtQueue, queueText, queueWarnings } from './hold-queue';

interface Look {
  holds: StuckHolds;
  worker: ExpiryWorker;
}

/** With why they may have stayed, as it was when the run looked first. */
interface Found extends Look {
  queue: HoldQueue;
}

/** Gives back what holds keep that ran out, and sees to it that they are released in time again. */
export const releaseStuckHolds = runbook<typeof releaseStuckHoldsCard>(
  'releaseStuckHolds',
  async ({ service, environment }, run) => {
    const place = { service, environment };
    const first = await diagnose(run, place);
    const { holds } = first;
    run.fact('stuckHolds', holds.count);
    const queue = await lookAtQueue(run, place, holds.requests ?? []);
    const warnings = await uncheckedOf(run, place);
    let { worker } = first;
    let stale = false;
    await run.gate(async () => {
      // Those that ran out since are none of this plan, and fewer of them are no other plan.
      if (stale) ({ worker } = await diagnose(run, place, holds.cutoff));
      stale = true;
      return draftOf(place, { holds, worker, queue }, warnings);
    });
    const { done } = await run.exclusively(
      targetOf(place),
      (fence) => release(run, place, { holds, worker }, fence),
      holds.fenceToken,
    );
    run.fact('holdsReleased', done);
    await endWell(run, place, { holds, worker, queue });
    return `${countOf(done, 'hold')} of ${targetOf(place)} released; none is stuck`;
  },
);

/** Ends the run where no hold is stuck and the job is not known to have stopped. */
async function diagnose(run: Run, place: Place, cutoff?: string): Promise<Look> {
  const holds = await run.step(
    'Look for holds that ran out',
    (act) => act.findStuckHolds({ ...place, ...(cutoff === undefined ? {} : { cutoff }) }),
    { kind: 'long', undo: 'read-only', describe: holdsText },
  );
  const worker = await run.step(
    'Does the job run that releases holds?',
    (act) => act.readExpiryWorker(place),
    {
      describe: ({ detail }) => detail,
    },
  );
  if (holds.count > 0 || worker.alive === false) return { holds, worker };
  return run.nothingToDo(`${holdsText(holds)}; the job that releases holds: ${worker.detail}`);
}

function holdsText({ count, since, cutoff, sample }: StuckHolds): string {
  if (since === null) return `no hold ran out before ${utc(cutoff)}`;
  const more = count > sample.length ? ` and ${count - sample.length} more` : '';
  return `${countOf(count, 'hold')} ran out before ${utc(cutoff)}, the first at ${utc(since)}: ${sample.join(', ')}${more}`;
}

function draftOf(place: Place, { holds, worker, queue }: Found, warnings: string[]): PlanDraft {
  const target = targetOf(place);
  const actions: PlanDraft['actions'] = [];
  if (holds.count > 0)
    actions.push({
      action: 'release holds that ran out',
      target,
      count: holds.count,
      detail: holdsText(holds),
    });
  const restart = 'start the job again that releases holds';
  if (worker.alive === false)
    actions.push({
      action: worker.canRestart ? restart : `a task for a person: ${restart}`,
      target,
      detail: 'it has stopped',
    });
  return {
    actions,
    warnings: [
      ...(worker.alive === null
        ? ['nobody looks whether the job that releases holds runs: expiryWorker is not configured']
        : []),
      ...queueWarnings(queue, holds.repeated ?? null),
      ...holds.unconfigured,
      ...warnings,
    ],
    facts: { cutoff: holds.cutoff, most: holds.count, worker: worker.alive ?? 'unknown' },
  };
}

const RELEASE = 'Release the holds';

async function release(run: Run, place: Place, { holds, worker }: Look, fence: Fence): Promise<Repaired> {
  const repaired = holds.count === 0 ? { done: 0, left: [] } : await releaseHolds(run, place, holds, fence);
  if (worker.alive === false && worker.canRestart) await restartWorker(run, place, fence);
  await run.verify(
    'No hold of the plan is stuck',
    (act) => act.findStuckHolds({ ...place, cutoff: holds.cutoff }),
    (now) => ({ ok: now.count <= repaired.left.length, detail: holdsText(now) }),
  );
  await verifyHealth(run, place);
  await verifySmoke(run, place);
  return repaired;
}

async function releaseHolds(run: Run, place: Place, holds: StuckHolds, fence: Fence): Promise<Repaired> {
  const { cutoff, count: most } = holds;
  const repaired = await run.step(
    RELEASE,
    (act) => act.releaseStuckHolds({ ...place, cutoff, most, run: repairKey(), fence }),
    {
      kind: 'mutate',
      undo: {
        title: 'Bring the holds back',
        back: () => takeBack(run, { place, fence, step: RELEASE_STEP, title: RELEASE }),
      },
      describe: repairedText,
    },
  );
  run.fact('holdsLeftAlone', repaired.left.length);
  return repaired;
}

const LOOKS = 24;
const LOOK_EVERY_MS = 5_000;

async function restartWorker(run: Run, place: Place, fence: Fence): Promise<void> {
  await run.step(
    'Start the job again that releases holds',
    (act) => act.restartExpiryWorker({ ...place, fence }),
    {
      kind: 'mutate',
      undo: { irreversible: 'the job that releases holds was started again' },
      describe: ({ detail }) => detail,
    },
  );
  await run.verify(
    'The job that releases holds runs',
    (act) => untilAlive(act, place),
    ({ alive, detail }) => ({ ok: alive === true, detail }),
  );
}

/** Its next run may be a while off. */
async function untilAlive(act: Activities, place: Place): Promise<ExpiryWorker> {
  for (let looks = 1; ; looks += 1) {
    const worker = await act.readExpiryWorker(place);
    if (worker.alive === true || looks >= LOOKS) return worker;
    await sleep(LOOK_EVERY_MS);
  }
}

/** What only people can do, and what is still not well: no success. */
async function endWell(run: Run, place: Place, { holds, worker, queue }: Found): Promise<void> {
  if (worker.alive === false && !worker.canRestart)
    await run.task(
      `The job that releases holds of ${targetOf(place)} has stopped (${worker.detail}; ${queueText(queue)}). Start it again.`,
      {
        title: 'Does it run again?',
        everyMs: 30_000,
        call: async (act) => {
          const now = await act.readExpiryWorker(place);
          return { ok: now.alive === true, detail: now.detail };
        },
      },
    );
  await run.verify(
    'No hold is stuck any more',
    (act) => act.findStuckHolds({ ...place, cutoff: holds.cutoff }),
    (now) => ({ ok: now.count === 0, detail: holdsText(now) }),
  );
}
